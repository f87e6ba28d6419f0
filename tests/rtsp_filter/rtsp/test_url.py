"""URLs are taken apart and put together without a change."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtsp import RTSPURL, URLError

PATHS = st.from_regex(r"(/[!$&'()*+,;=:@a-zA-Z0-9%._~/ -]{0,20})?", fullmatch=True)
QUERIES = st.none() | st.from_regex(r"[a-zA-Z0-9?/&=%@:]{0,20}", fullmatch=True)
URLS = st.builds(
    RTSPURL,
    scheme=st.sampled_from(["rtsp", "rtsps"]),
    host=st.sampled_from(["h", "192.0.2.1", "::1", "fe80::1%eth0", "cam.example.org"]),
    port=st.none() | st.integers(1, 65535),
    path=PATHS,
    query=QUERIES,
    userinfo=st.none() | st.sampled_from(["", "u", "u:p", "u:p@ss"]),
)


@given(URLS)
def test_a_url_survives_writing_and_parsing(url: RTSPURL) -> None:
    assert RTSPURL.parse(str(url)) == url


@given(st.text(max_size=40))
def test_any_text_is_a_url_or_our_error(text: str) -> None:
    for candidate in (text, f"rtsp://{text}"):
        with contextlib.suppress(URLError):
            RTSPURL.parse(candidate)


@pytest.mark.parametrize(
    "text",
    ["*", "", "/path", "http://h/", "rtsp://", "rtsp:///x", "rtsp://h:x/", "rtsp://h:0/", "rtsp://h:65536/",
     "rtsp://::1/", "rtsp://[::1/", "rtsp://h h/", "rtsp://h/\r\n"],
)  # fmt: skip
def test_what_is_no_rtsp_url_is_refused(text: str) -> None:
    with pytest.raises(URLError):
        RTSPURL.parse(text)


def test_ports_have_defaults() -> None:
    assert RTSPURL.parse("rtsp://h").effective_port == 554
    assert RTSPURL.parse("RTSPS://h/").effective_port == 322
    assert RTSPURL.parse("rtsp://h:8554/").effective_port == 8554


def test_an_ipv6_literal_may_have_a_zone() -> None:
    url = RTSPURL.parse("rtsp://u:p@[fe80::1%25eth0]:8554/x?y=1")
    assert (url.host, url.connect_host, url.authority) == ("fe80::1%25eth0", "fe80::1%eth0", "[fe80::1%25eth0]:8554")
    assert RTSPURL.parse("rtsp://[fe80::1%eth0]/").connect_host == "fe80::1%eth0"


def test_path_and_query_are_kept_to_the_byte() -> None:
    url = RTSPURL.parse("rtsp://h/a%2Fb//c/?x=1/trackID=2&y=?")
    assert (url.path, url.query) == ("/a%2Fb//c/", "x=1/trackID=2&y=?")
    assert url.target == "/a%2Fb//c/?x=1/trackID=2&y=?"


def test_credentials_do_not_go_to_another_host() -> None:
    url = RTSPURL.parse("rtsp://u:p@h/x")
    assert str(url.with_host("::1", 554)) == "rtsp://[::1]:554/x"
    assert str(url.without_userinfo()) == "rtsp://h/x"
    assert str(url.with_path("/y").with_query("z")) == "rtsp://u:p@h/y?z"
