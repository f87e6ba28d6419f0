"""Control URLs come in the forms that players make of them."""

from __future__ import annotations

import pytest

from rtsp_filter.camera.description import describe, same_path, split_control
from rtsp_filter.rtp import Clip
from rtsp_filter.rtsp import SessionDescription, control_forms


@pytest.mark.parametrize(
    "base", ["rtsp://h/a", "rtsp://h/a/", "rtsp://h/a?x=1", "rtsp://h/a?x=1/", "rtsp://h", "rtsp://h/"]
)
def test_a_track_is_recognized_in_every_form_of_its_url(base: str) -> None:
    stream, none = split_control(base)
    assert none is None
    for url in control_forms(base, "trackID=1"):
        assert split_control(url) == (stream, 1)


def test_a_path_is_compared_without_query_and_outer_slashes() -> None:
    assert same_path("/a/b", "/a/b/?x=1")
    assert same_path("a/b/", "/a/b")
    assert not same_path("/a", "/a/b")


@pytest.mark.parametrize(
    ("address", "line"), [("192.0.2.1", b"o=- 1 1 IN IP4 192.0.2.1"), ("::1", b"o=- 1 1 IN IP6 ::1")]
)
def test_the_description_names_the_cameras_address(address: str, line: bytes) -> None:
    described = describe(Clip.load(), address)
    assert line in described.splitlines()
    assert SessionDescription.parse(described).control == "*"
