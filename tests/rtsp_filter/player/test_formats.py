import pytest

from rtsp_filter.player.formats import describe_format, is_rtp
from rtsp_filter.rtsp import MediaDescription, SessionDescription

AAC = "m=audio 0 RTP/AVP 97\na=rtpmap:97 mpeg4-generic/48000/2\na=fmtp:97 {}\n"


def media(section: str) -> MediaDescription:
    return SessionDescription.parse(section.encode()).media[0]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("m=video 0 RTP/AVP 96\na=rtpmap:96 H265/90000\n", ("H265", 90_000)),
        ("m=audio 0 RTP/AVP 97\na=rtpmap:97 opus/48000/2\n", ("opus", 48_000)),
        (AAC.format("streamtype=5; mode=AAC-hbr; sizelength=13"), ("AAC", 48_000)),
        (AAC.format("mode=aac-lbr"), ("AAC", 48_000)),
        (AAC.format("mode=CELP-vbr"), ("mpeg4-generic", 48_000)),
        (AAC.format("config=1188"), ("mpeg4-generic", 48_000)),
        ("m=audio 0 RTP/AVP 8\n", ("PCMA", 8_000)),
        ("m=video 0 RTP/AVP 26\n", ("JPEG", 90_000)),
        ("m=video 0 RTP/AVP 99\n", ("payload type 99", 90_000)),
        ("m=video 0 RTP/AVP\n", ("unknown", 90_000)),
    ],
)
def test_codec_and_clock_rate_come_from_rtpmap_or_the_static_types(section: str, expected: tuple[str, int]) -> None:
    assert describe_format(media(section)) == expected


@pytest.mark.parametrize(("proto", "expected"), [("RTP/AVP", True), ("rtp/savp", True), ("UDP/DTLS/SCTP", False)])
def test_only_rtp_is_rtp(proto: str, expected: bool) -> None:
    assert is_rtp(media(f"m=video 0 {proto} 96\n")) is expected
