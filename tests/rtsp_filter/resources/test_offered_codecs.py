"""Codecs are found in session descriptions of every kind, and what is missing is said."""

from __future__ import annotations

import pytest

from rtsp_filter.resources.offered_codecs import offered_codecs, what_lacks
from rtsp_filter.rtsp import SessionDescription

HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\n"
VIDEO = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
AUDIO = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/48000/2\r\n"


def _description(*sections: str) -> SessionDescription:
    return SessionDescription.parse((HEAD + "".join(sections)).encode())


@pytest.mark.parametrize(
    ("sections", "codecs"),
    [
        ([VIDEO, AUDIO], ("video/H264", "audio/mpeg4-generic")),
        (["m=audio 0 RTP/AVP 0 8\r\n"], ("audio/PCMU", "audio/PCMA")),
        (["m=audio 0 RTP/AVP 0\r\na=rtpmap:0 L8/8000\r\n"], ("audio/L8",)),
        (["m=video 0 RTP/AVP 96 97\r\na=rtpmap:97 H265/90000\r\na=rtpmap:96 H264/90000\r\n"], None),
        (["m=video 0 RTP/AVP 96\r\na=rtpmap:98 VP8/90000\r\n"], ()),
        ([VIDEO, VIDEO], ("video/H264",)),
        ([], ()),
    ],
)
def test_each_format_of_each_medium_counts_once(sections: list[str], codecs: tuple[str, ...] | None) -> None:
    wanted = ("video/H264", "video/H265") if codecs is None else codecs
    assert offered_codecs(_description(*sections)) == wanted


def test_nothing_lacks_where_all_is_there_in_whatever_case() -> None:
    assert what_lacks(["video/h264", "audio/MPEG4-GENERIC"], _description(VIDEO, AUDIO)) is None
    assert what_lacks([], _description()) is None


def test_what_lacks_is_said_with_what_there_is() -> None:
    complaint = what_lacks(["video/H265", "audio/H264", "video/H264"], _description(VIDEO))
    assert complaint == "the description has no video/H265, audio/H264; it has video/H264"
    assert what_lacks(["video/H264"], _description()) == "the description has no video/H264; it has nothing"
