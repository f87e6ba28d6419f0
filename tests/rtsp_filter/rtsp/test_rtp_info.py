"""RTP-Info with parts missing and URLs that look like separators."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtsp import RTPInfo, encode_rtp_info, parse_rtp_info, rewrite_rtp_info

ENTRIES = st.builds(
    RTPInfo,
    url=st.from_regex(r"rtsp://[a-z0-9/?=&,;]{1,20}[a-z]", fullmatch=True),
    seq=st.none() | st.integers(0, 65535),
    rtptime=st.none() | st.integers(0, 2**32 - 1),
)


@given(st.lists(ENTRIES, min_size=1, max_size=3))
def test_rtp_info_survives_encoding_and_parsing(entries: list[RTPInfo]) -> None:
    assert parse_rtp_info(encode_rtp_info(tuple(entries))) == tuple(entries)


def test_a_url_may_contain_commas_and_semicolons() -> None:
    (info,) = parse_rtp_info("url=rtsp://h/a,b;c=d/t;seq=5;rtptime=9")
    assert info == RTPInfo(url="rtsp://h/a,b;c=d/t", seq=5, rtptime=9)


@pytest.mark.parametrize(
    ("value", "infos"),
    [
        ("url=rtsp://h/t", (RTPInfo(url="rtsp://h/t"),)),
        ("url=t;seq=;rtptime=x", (RTPInfo(url="t", others=("seq=", "rtptime=x")),)),
        ("url=a;seq=1, url=b;rtptime=2", (RTPInfo(url="a", seq=1), RTPInfo(url="b", rtptime=2))),
        ("seq=1;rtptime=2", ()),
        ("", ()),
    ],
)
def test_missing_parts_are_tolerated(value: str, infos: tuple[RTPInfo, ...]) -> None:
    assert parse_rtp_info(value) == infos


def test_urls_are_rewritten_and_the_rest_stays() -> None:
    assert rewrite_rtp_info("url=a;seq=1;ssrc=77,url=b", str.upper) == "url=A;seq=1;ssrc=77,url=B"
