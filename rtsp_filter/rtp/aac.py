"""AAC over RTP (RFC 3640, mode AAC-hbr): ADTS streams to frames to payloads.

One frame a packet; a frame larger than a packet is cut, each part with the size of the whole (section 3.2.3.1).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from rtsp_filter.rtp.errors import RTPError
from rtsp_filter.rtp.payload import Payload

SAMPLES_PER_FRAME = 1_024
"""Samples of one AAC-LC frame, per channel."""

SIZE_LENGTH = 13
INDEX_LENGTH = 3
INDEX_DELTA_LENGTH = 3
"""The bit widths that mode AAC-hbr fixes (RFC 3640, section 3.3.6)."""

_SAMPLE_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_ADTS_HEADER_SIZE = 7
_ADTS_CHECKSUM_SIZE = 2
_AU_HEADER = struct.Struct(">HH")
_AU_HEADER_BITS = SIZE_LENGTH + INDEX_LENGTH


@dataclass(frozen=True, slots=True, kw_only=True)
class AACStream:
    """Frames without their ADTS headers. `config` is the AudioSpecificConfig (ISO 14496-3); rate in Hz."""

    frames: tuple[bytes, ...]
    sample_rate: int
    channels: int
    config: bytes


def parse_adts(stream: bytes) -> AACStream:
    """The frames of an ADTS stream (ISO 14496-3, annex 1.A). Raises RTPError when it is not one."""
    frames = []
    position = 0
    while position < len(stream):
        start, end = _adts_frame(stream, position)
        frames.append(stream[start:end])
        position = end
    if not frames:
        raise RTPError("no frame in the ADTS stream")
    return _describe(stream, tuple(frames))


def packetize(frame: bytes, payload_size: int) -> tuple[Payload, ...]:
    """One frame as payloads of at most `payload_size` bytes; the last one is marked."""
    header = _AU_HEADER.pack(_AU_HEADER_BITS, len(frame) << INDEX_LENGTH)
    room = payload_size - len(header)
    starts = range(0, len(frame), room)
    return tuple(Payload(data=header + frame[start : start + room], marker=start == starts[-1]) for start in starts)


def _adts_frame(stream: bytes, position: int) -> tuple[int, int]:
    header = stream[position : position + _ADTS_HEADER_SIZE]
    if len(header) < _ADTS_HEADER_SIZE or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        raise RTPError(f"no ADTS header at byte {position}")
    header_size = _ADTS_HEADER_SIZE if header[1] & 1 else _ADTS_HEADER_SIZE + _ADTS_CHECKSUM_SIZE
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    if length <= header_size or position + length > len(stream):
        raise RTPError(f"the ADTS frame at byte {position} is cut off")
    return position + header_size, position + length


def _describe(stream: bytes, frames: tuple[bytes, ...]) -> AACStream:
    object_type = (stream[2] >> 6) + 1
    rate_index = stream[2] >> 2 & 0x0F
    channels = (stream[2] & 1) << 2 | stream[3] >> 6
    if rate_index >= len(_SAMPLE_RATES):
        raise RTPError(f"ADTS sample rate index {rate_index} is reserved")
    config = object_type << 11 | rate_index << 7 | channels << 3
    return AACStream(
        frames=frames,
        sample_rate=_SAMPLE_RATES[rate_index],
        channels=channels,
        config=config.to_bytes(2, "big"),
    )
