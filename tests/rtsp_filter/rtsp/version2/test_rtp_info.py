"""RTP-Info of RTSP 2.0 and of RTSP 1.0."""

from __future__ import annotations

import pytest

from rtsp_filter.rtsp.version2.rtp_info import rtp_info_to_1, rtp_info_to_2

VERSION_1 = "url=rtsp://h/a,b;seq=45102;rtptime=12345678,url=rtsp://h/v;seq=30211"
VERSION_2 = 'url="rtsp://h/a,b" ssrc=0A13C760:seq=45102;rtptime=12345678, url="rtsp://h/v" ssrc=9A9DE123:seq=30211'
SSRCS = {"rtsp://h/a,b": 0x0A13C760, "rtsp://h/v": 0x9A9DE123}


def test_each_version_says_the_same() -> None:
    assert rtp_info_to_1(VERSION_2) == VERSION_1
    assert rtp_info_to_2(VERSION_1, SSRCS.get) == VERSION_2


@pytest.mark.parametrize("written", [VERSION_1, "", "nonsense"])
def test_what_is_not_of_version_2_stays(written: str) -> None:
    assert rtp_info_to_1(written) == written


def test_of_several_sources_of_a_stream_version_1_names_the_first() -> None:
    assert rtp_info_to_1('url="rtsp://h/a" ssrc=1:seq=2;rtptime=3 ssrc=4:seq=5') == "url=rtsp://h/a;seq=2;rtptime=3"


def test_a_stream_without_numbers_is_still_named() -> None:
    assert rtp_info_to_1('url="rtsp://h/a"') == "url=rtsp://h/a"


def test_a_stream_whose_source_is_not_known_is_not_named() -> None:
    assert rtp_info_to_2(VERSION_1, {"rtsp://h/v": 1}.get) == 'url="rtsp://h/v" ssrc=00000001:seq=30211'
    assert rtp_info_to_2(VERSION_1, lambda url: None) is None
