"""Control URLs as ffmpeg, GStreamer and live555 make them."""

from __future__ import annotations

import pytest

from rtsp_filter.rtsp import Headers, aggregate_url, base_url, control_forms, resolve, track_url


@pytest.mark.parametrize(
    ("base", "reference", "url"),
    [
        ("rtsp://h/a", "trackID=1", "rtsp://h/a/trackID=1"),
        ("rtsp://h/a/", "trackID=1", "rtsp://h/a/trackID=1"),
        ("rtsp://h/a", "/trackID=1", "rtsp://h/a/trackID=1"),
        ("rtsp://h/a?x=1", "trackID=1", "rtsp://h/a?x=1/trackID=1"),
        ("rtsp://h/a?x=1/", "trackID=1", "rtsp://h/a?x=1/trackID=1"),
        ("rtsp://h/a", "?trackID=1", "rtsp://h/a?trackID=1"),
        ("rtsp://h/a", "*", "rtsp://h/a"),
        ("rtsp://h/a", "", "rtsp://h/a"),
        ("rtsp://h/a", None, "rtsp://h/a"),
        ("rtsp://h/a", "RTSP://other/b", "RTSP://other/b"),
        ("rtsp://[::1]:8554/a", "t", "rtsp://[::1]:8554/a/t"),
    ],
)
def test_a_reference_is_put_behind_its_base(base: str, reference: str | None, url: str) -> None:
    assert resolve(base, reference) == url


def test_the_base_is_content_base_then_content_location_then_the_request() -> None:
    both = Headers([("Content-Location", "rtsp://h/l/"), ("content-base", " rtsp://h/b/ ")])
    assert base_url("rtsp://h/r", both) == "rtsp://h/b/"
    both.remove("Content-Base")
    assert base_url("rtsp://h/r", both) == "rtsp://h/l/"
    assert base_url("rtsp://h/r", Headers()) == "rtsp://h/r"


def test_a_base_that_is_only_a_path_is_on_the_same_server() -> None:
    assert base_url("rtsp://[::1]:8554/r", Headers([("Content-Base", "/b/")])) == "rtsp://[::1]:8554/b/"


def test_a_base_that_makes_no_sense_is_ignored() -> None:
    assert base_url("rtsp://h/r", Headers([("Content-Base", "b")])) == "rtsp://h/r"


def test_only_an_absolute_session_control_is_heeded() -> None:
    assert aggregate_url("rtsp://h/a/", "*") == "rtsp://h/a/"
    assert aggregate_url("rtsp://h/a/", None) == "rtsp://h/a/"
    assert aggregate_url("rtsp://h/a/", "all") == "rtsp://h/a/"
    assert track_url("rtsp://h/a/", "rtsp://h/s", "t") == "rtsp://h/s/t"


def test_a_server_recognizes_a_track_on_both_sides_of_the_query() -> None:
    assert control_forms("rtsp://h/a?x=1", "t") == ("rtsp://h/a?x=1/t", "rtsp://h/a/t?x=1")
    assert control_forms("rtsp://h/a", "t") == ("rtsp://h/a/t",)
