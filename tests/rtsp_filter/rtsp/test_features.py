"""What a request requires, and who may refuse it."""

from __future__ import annotations

import pytest

from rtsp_filter.rtsp import Headers, Request, option_tags, unsupported


def request(*headers: tuple[str, str]) -> Request:
    return Request(method="OPTIONS", url="*", headers=Headers([("CSeq", "1"), *headers]))


def test_tags_come_from_every_header_of_the_name_in_order() -> None:
    assert option_tags(["a, b", "", " c ,"]) == ("a", "b", "c")


def test_a_required_option_that_nobody_here_has_is_named() -> None:
    asked = request(("Require", "implicit-play, play.basic"), ("require", "com.example.x"))
    assert unsupported(asked, answered_here=True) == ("implicit-play", "com.example.x")


@pytest.mark.parametrize("tag", ["onvif-replay", "www.onvif.org/ver20/backchannel"])
def test_what_onvif_requires_is_refused_by_nobody_but_the_camera(tag: str) -> None:
    assert unsupported(request(("Require", tag)), answered_here=True) == ()


def test_what_a_request_requires_of_the_camera_is_the_cameras_to_refuse() -> None:
    assert unsupported(request(("Require", "implicit-play")), answered_here=False) == ()


def test_what_a_request_requires_of_the_proxy_is_refused_wherever_it_goes() -> None:
    asked = request(("Proxy-Require", "gzipped-messages"))
    assert unsupported(asked, answered_here=False) == unsupported(asked, answered_here=True) == ("gzipped-messages",)
