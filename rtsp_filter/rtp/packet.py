"""RTP packets (RFC 3550, section 5.1): bytes to values and back.

Two ways to read one, because they cost differently: `parse_header` gives only what reception statistics need, for
those who see every packet; `RTPPacket.parse` gives everything.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from rtsp_filter.rtp.errors import RTPError

VERSION = 2
"""RTP version; the two highest bits of every packet."""

FIXED_HEADER_SIZE = 12
"""Bytes up to and including the SSRC."""

FIXED_HEADER = struct.Struct(">BBHII")
_EXTENSION_HEADER = struct.Struct(">HH")
_WORD = 4
_PADDING_BIT = 0x20
_EXTENSION_BIT = 0x10
_MARKER_BIT = 0x80
_MAXIMUM_CSRCS = 15
_MAXIMUM_PADDING = 255


class RTPHeader(NamedTuple):
    """The fixed header. `sequence` has 16 bits, `timestamp` (clock units) and `ssrc` have 32."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int


def parse_header(data: bytes) -> RTPHeader:
    """The fixed header of the RTP packet in `data`. Raises RTPError when it cannot be one."""
    if len(data) < FIXED_HEADER_SIZE:
        raise RTPError(f"an RTP packet has at least {FIXED_HEADER_SIZE} bytes, this has {len(data)}")
    first, second, sequence, timestamp, ssrc = FIXED_HEADER.unpack_from(data)
    if first >> 6 != VERSION:
        raise RTPError(f"RTP version is {first >> 6}, not {VERSION}")
    return RTPHeader(second & 0x7F, second >= _MARKER_BIT, sequence, timestamp, ssrc)


def build_header(*, payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int) -> bytes:
    """A fixed header without CSRCs, extension and padding: what a simple sender puts before each payload."""
    second = payload_type | (_MARKER_BIT if marker else 0)
    return FIXED_HEADER.pack(VERSION << 6, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderExtension:
    """The header extension (section 5.3.1). `data` is a whole number of 32-bit words."""

    profile: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RTPPacket:
    """One RTP packet. `padding` is the number of bytes after the payload, the count byte included."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes = b""
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension: HeaderExtension | None = None
    padding: int = 0

    @classmethod
    def parse(cls, data: bytes) -> RTPPacket:
        """The packet in `data`. Raises RTPError when it is not one."""
        header = parse_header(data)
        csrcs, position = _parse_csrcs(data)
        extension, position = _parse_extension(data, position)
        padding = _padding(data, position)
        return cls(
            payload_type=header.payload_type,
            sequence=header.sequence,
            timestamp=header.timestamp,
            ssrc=header.ssrc,
            payload=bytes(data[position : len(data) - padding]),
            marker=header.marker,
            csrcs=csrcs,
            extension=extension,
            padding=padding,
        )

    def serialize(self) -> bytes:
        """The bytes of the packet. Raises ValueError for CSRCs, extension or padding that no packet can carry."""
        self._check()
        first = VERSION << 6 | len(self.csrcs)
        first |= _PADDING_BIT if self.padding else 0
        first |= _EXTENSION_BIT if self.extension else 0
        second = self.payload_type | (_MARKER_BIT if self.marker else 0)
        parts = [FIXED_HEADER.pack(first, second, self.sequence, self.timestamp, self.ssrc)]
        parts += [csrc.to_bytes(_WORD, "big") for csrc in self.csrcs]
        if self.extension:
            words = len(self.extension.data) // _WORD
            parts += [_EXTENSION_HEADER.pack(self.extension.profile, words), self.extension.data]
        parts.append(self.payload)
        if self.padding:
            parts += [bytes(self.padding - 1), bytes((self.padding,))]
        return b"".join(parts)

    def _check(self) -> None:
        if len(self.csrcs) > _MAXIMUM_CSRCS:
            raise ValueError(f"{len(self.csrcs)} CSRCs, at most {_MAXIMUM_CSRCS} fit")
        if self.extension and len(self.extension.data) % _WORD:
            raise ValueError("a header extension is a whole number of 32-bit words")
        if not 0 <= self.padding <= _MAXIMUM_PADDING:
            raise ValueError(f"{self.padding} bytes of padding, at most {_MAXIMUM_PADDING} fit")


def _parse_csrcs(data: bytes) -> tuple[tuple[int, ...], int]:
    count = data[0] & 0x0F
    end = FIXED_HEADER_SIZE + count * _WORD
    if len(data) < end:
        raise RTPError(f"an RTP packet of {len(data)} bytes has no room for {count} CSRCs")
    return struct.unpack_from(f">{count}I", data, FIXED_HEADER_SIZE), end


def _parse_extension(data: bytes, position: int) -> tuple[HeaderExtension | None, int]:
    if not data[0] & _EXTENSION_BIT:
        return None, position
    start = position + _EXTENSION_HEADER.size
    if len(data) < start:
        raise RTPError("the RTP header extension is cut off")
    profile, words = _EXTENSION_HEADER.unpack_from(data, position)
    end = start + words * _WORD
    if len(data) < end:
        raise RTPError(f"the RTP header extension claims {words} words, the packet ends before")
    return HeaderExtension(profile=profile, data=bytes(data[start:end])), end


def _padding(data: bytes, position: int) -> int:
    if not data[0] & _PADDING_BIT:
        return 0
    padding = data[-1]
    if not 0 < padding <= len(data) - position:
        raise RTPError(f"RTP padding of {padding} bytes in a packet that has {len(data) - position} after its header")
    return padding
