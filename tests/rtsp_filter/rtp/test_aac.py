import pytest

from rtsp_filter.rtp import RTPError
from rtsp_filter.rtp.aac import packetize, parse_adts


def adts(frame: bytes, *, rate_index: int = 3, channels: int = 2) -> bytes:
    length = len(frame) + 7
    return (
        bytes((0xFF, 0xF1, 1 << 6 | rate_index << 2, channels << 6 | length >> 11, length >> 3 & 0xFF))
        + bytes(((length & 7) << 5, 0))
        + frame
    )


def test_frames_lose_their_headers_and_the_config_describes_them() -> None:
    stream = parse_adts(adts(b"one") + adts(b"second"))
    assert stream.frames == (b"one", b"second")
    assert (stream.sample_rate, stream.channels) == (48_000, 2)
    assert stream.config == bytes.fromhex("1190")


@pytest.mark.parametrize(
    "stream", [b"", b"no audio at all", adts(b"cut off")[:-1], adts(b"reserved rate", rate_index=15)]
)
def test_what_is_not_adts_is_refused(stream: bytes) -> None:
    with pytest.raises(RTPError):
        parse_adts(stream)


def test_a_frame_travels_behind_its_size() -> None:
    (payload,) = packetize(b"abc", 100)
    assert payload.data == bytes.fromhex("00100018") + b"abc"
    assert payload.marker


def test_a_large_frame_is_cut_and_every_part_tells_the_whole_size() -> None:
    payloads = packetize(b"abcdefgh", 7)
    assert [payload.data for payload in payloads] == [
        bytes.fromhex("00100040") + part for part in (b"abc", b"def", b"gh")
    ]
    assert [payload.marker for payload in payloads] == [False, False, True]
