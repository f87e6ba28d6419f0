"""Blocks of RTCP extended reports (RFC 3611): the two that let a receiver measure a round trip, the rest kept raw.

A receiver sends its time (RRTR); the sender answers with that time and how long it held it (DLRR).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from rtsp_filter.rtp.errors import RTPError

_HEADER = struct.Struct(">BBH")
_NTP = struct.Struct(">Q")
_DLRR_ITEM = struct.Struct(">III")
_WORD = 4


class BlockType(IntEnum):
    """XR block types (RFC 3611, section 4)."""

    RECEIVER_REFERENCE_TIME = 4
    DELAY_SINCE_LAST_RECEIVER_REPORT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverReferenceTime:
    """RRTR (section 4.4): the receiver's clock as a 64-bit NTP timestamp; any origin will do."""

    ntp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LastReceiverReport:
    """One receiver in a DLRR block; both times in 1/65536 seconds."""

    ssrc: int
    last_rr: int
    delay: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DelaySinceLastReceiverReport:
    """DLRR (section 4.5)."""

    receivers: tuple[LastReceiverReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawBlock:
    """A block of another type. `specific` is the type-specific byte, `body` what follows the four-byte header."""

    type: int
    specific: int
    body: bytes


XRBlock: TypeAlias = ReceiverReferenceTime | DelaySinceLastReceiverReport | RawBlock


def parse_blocks(data: bytes) -> tuple[XRBlock, ...]:
    """The report blocks of one XR packet. Raises RTPError when a length is broken."""
    blocks = []
    position = 0
    while position < len(data):
        if len(data) - position < _HEADER.size:
            raise RTPError("an XR block is cut off")
        kind, specific, words = _HEADER.unpack_from(data, position)
        start = position + _HEADER.size
        position = start + words * _WORD
        if position > len(data):
            raise RTPError(f"an XR block claims {words} words, {len(data) - start} bytes follow")
        blocks.append(_parse_block(kind, specific, data[start:position]))
    return tuple(blocks)


def serialize_blocks(blocks: Iterable[XRBlock]) -> bytes:
    """The bytes of report blocks."""
    return b"".join(_serialize_block(block) for block in blocks)


def _parse_block(kind: int, specific: int, body: bytes) -> XRBlock:
    if kind == BlockType.RECEIVER_REFERENCE_TIME and len(body) == _NTP.size:
        return ReceiverReferenceTime(ntp=_NTP.unpack(body)[0])
    if kind == BlockType.DELAY_SINCE_LAST_RECEIVER_REPORT and len(body) % _DLRR_ITEM.size == 0:
        items = _DLRR_ITEM.iter_unpack(body)
        receivers = tuple(LastReceiverReport(ssrc=ssrc, last_rr=last, delay=delay) for ssrc, last, delay in items)
        return DelaySinceLastReceiverReport(receivers=receivers)
    return RawBlock(type=kind, specific=specific, body=body)


def _serialize_block(block: XRBlock) -> bytes:
    match block:
        case ReceiverReferenceTime():
            kind, specific, body = BlockType.RECEIVER_REFERENCE_TIME, 0, _NTP.pack(block.ntp)
        case DelaySinceLastReceiverReport():
            items = (_DLRR_ITEM.pack(item.ssrc, item.last_rr, item.delay) for item in block.receivers)
            kind, specific, body = BlockType.DELAY_SINCE_LAST_RECEIVER_REPORT, 0, b"".join(items)
        case RawBlock():
            return _HEADER.pack(block.type, block.specific, len(block.body) // _WORD) + block.body
    return _HEADER.pack(kind, specific, len(body) // _WORD) + body
