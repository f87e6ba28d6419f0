"""H.264 over RTP (RFC 6184): Annex B streams to access units to payloads.

The packetizer knows two packet types: a NAL unit that fits travels alone (section 5.6), any other is cut into FU-A
fragments (section 5.8), which is packetization mode 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

from rtsp_filter.rtp.errors import RTPError
from rtsp_filter.rtp.payload import Payload

CLOCK_RATE = 90_000
"""Hz; fixed for H.264 by RFC 6184, section 8.2.1."""

_START_CODE = b"\x00\x00\x01"
_FU_A = 28
_FU_HEADER_SIZE = 2
_START_BIT = 0x80
_END_BIT = 0x40
_NRI_MASK = 0x60


class NALType(IntEnum):
    """The NAL unit types that decide where an access unit begins (H.264, table 7-1)."""

    SLICE = 1
    IDR_SLICE = 5
    SEI = 6
    SPS = 7
    PPS = 8
    ACCESS_UNIT_DELIMITER = 9


_PICTURE = frozenset({NALType.SLICE, NALType.IDR_SLICE})
_BEFORE_PICTURE = frozenset({NALType.SEI, NALType.SPS, NALType.PPS, NALType.ACCESS_UNIT_DELIMITER})


def nal_type(nal: bytes) -> int:
    """The five-bit type of a NAL unit."""
    return nal[0] & 0x1F


def split_annex_b(stream: bytes) -> list[bytes]:
    """The NAL units of a byte stream (H.264, annex B), without start codes. Raises RTPError when there is none."""
    pieces = stream.split(_START_CODE)
    nals = [nal for piece in pieces[1:] if (nal := piece.rstrip(b"\x00"))]
    if not nals:
        raise RTPError("no NAL unit in the H.264 byte stream")
    return nals


def group_access_units(nals: Iterable[bytes]) -> list[tuple[bytes, ...]]:
    """NAL units grouped by picture, in order (H.264, section 7.4.1.2.3)."""
    units: list[tuple[bytes, ...]] = []
    current: list[bytes] = []
    has_picture = False
    for nal in nals:
        if has_picture and _begins_access_unit(nal):
            units.append(tuple(current))
            current, has_picture = [], False
        current.append(nal)
        has_picture = has_picture or nal_type(nal) in _PICTURE
    return [*units, tuple(current)] if has_picture else units


def packetize(nals: Sequence[bytes], payload_size: int) -> tuple[Payload, ...]:
    """One access unit as payloads of at most `payload_size` bytes; the last one is marked."""
    payloads = [part for nal in nals for part in _fragments(nal, payload_size)]
    last = len(payloads) - 1
    return tuple(Payload(data=data, marker=index == last) for index, data in enumerate(payloads))


def _begins_access_unit(nal: bytes) -> bool:
    kind = nal_type(nal)
    if kind in _BEFORE_PICTURE:
        return True
    # first_mb_in_slice is the first Exp-Golomb number of a slice; zero is the single bit 1.
    return kind in _PICTURE and len(nal) > 1 and nal[1] >= 0x80


def _fragments(nal: bytes, payload_size: int) -> list[bytes]:
    if len(nal) <= payload_size:
        return [nal]
    indicator, kind = (nal[0] & _NRI_MASK) | _FU_A, nal_type(nal)
    room = payload_size - _FU_HEADER_SIZE
    fragments = []
    for start in range(1, len(nal), room):
        header = kind
        header |= _START_BIT if start == 1 else 0
        header |= _END_BIT if start + room >= len(nal) else 0
        fragments.append(bytes((indicator, header)) + nal[start : start + room])
    return fragments
