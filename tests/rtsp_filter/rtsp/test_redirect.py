"""Redirects as load balancers, recorders and cameras of clouds give them."""

from __future__ import annotations

import pytest

from rtsp_filter.rtsp import MAX_REDIRECTS, RTSPURL, RedirectError, Redirects, StatusCode

ASKED = RTSPURL.parse("rtsp://user:secret@cam.example/live")


def target(location: str, asked: RTSPURL = ASKED) -> str:
    return str(Redirects().follow(asked, location))


def test_redirects_are_counted_over_the_whole_session() -> None:
    redirects = Redirects()
    for number in range(MAX_REDIRECTS):
        redirects.follow(ASKED, f"rtsp://cam{number}.example/live")
    with pytest.raises(RedirectError, match="more than 5") as error:
        redirects.follow(ASKED, "rtsp://cam.example/live")
    assert error.value.status is StatusCode.BAD_GATEWAY


@pytest.mark.parametrize("location", ["rtsp://other.example/live", "rtsp://cam.example:1554/live"])
def test_credentials_stay_with_their_server(location: str) -> None:
    assert target(location) == location


@pytest.mark.parametrize("location", ["rtsp://CAM.example:554/new", "rtsp://cam.example/new", "/new"])
def test_another_path_of_the_same_server_keeps_its_credentials(location: str) -> None:
    assert RTSPURL.parse(target(location)).userinfo == "user:secret"


def test_credentials_that_a_redirect_names_are_its_own() -> None:
    assert target("rtsp://viewer:pw@home.example") == "rtsp://viewer:pw@home.example"


def test_a_redirect_may_go_to_tls_and_never_out_of_it() -> None:
    assert target("rtsps://cam.example/live") == "rtsps://cam.example/live"
    with pytest.raises(RedirectError, match="leave TLS"):
        target("rtsp://cam.example/live", RTSPURL.parse("rtsps://cam.example/live"))


def test_a_path_alone_is_on_the_same_server() -> None:
    assert target("/a?b=c", RTSPURL.parse("rtsps://[fe80::1%25eth0]:8322/x")) == "rtsps://[fe80::1%25eth0]:8322/a?b=c"


@pytest.mark.parametrize("location", ["", "http://other/", "live", "rtsp://"])
def test_what_is_no_rtsp_url_is_not_followed(location: str) -> None:
    with pytest.raises(RedirectError):
        target(location)
