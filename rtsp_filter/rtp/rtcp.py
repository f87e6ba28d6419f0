"""RTCP packets: bytes to values and back (RFC 3550, section 6; RFC 3611 for extended reports).

A datagram is a compound of packets. One whose type is unknown, or whose length the sender got right but whose inside
is not understood, is kept as `RawPacket`; only a broken length spoils the compound.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from rtsp_filter.rtp.errors import RTPError
from rtsp_filter.rtp.packet import VERSION
from rtsp_filter.rtp.xr import XRBlock, parse_blocks, serialize_blocks

_HEADER = struct.Struct(">BBH")
_SSRC = struct.Struct(">I")
_SENDER_INFO = struct.Struct(">IQIII")
_REPORT_BLOCK = struct.Struct(">IIIIII")
_WORD = 4
_PADDING_BIT = 0x20
_MAXIMUM_COUNT = 31
_END_OF_ITEMS = 0
_SIGN_24 = 1 << 23
_MASK_24 = (1 << 24) - 1


class PacketType(IntEnum):
    """RTCP packet types (RFC 3550, section 12.1; RFC 3611, section 2)."""

    SENDER_REPORT = 200
    RECEIVER_REPORT = 201
    SOURCE_DESCRIPTION = 202
    GOODBYE = 203
    EXTENDED_REPORT = 207


class SourceDescriptionItem(IntEnum):
    """SDES item types (RFC 3550, section 12.2)."""

    CNAME = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBlock:
    """What a receiver has heard of one source (RFC 3550, section 6.4.1).

    `fraction_lost` in 1/256 since the last report, `jitter` in clock units, `delay_since_last_sr` in 1/65536 seconds.
    `cumulative_lost` may be negative: duplicates count as received.
    """

    ssrc: int
    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter: int
    last_sr: int
    delay_since_last_sr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """SR: the NTP and RTP times of one moment, and what was sent until then. `extension`: profile-specific bytes."""

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    reports: tuple[ReportBlock, ...] = ()
    extension: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverReport:
    """RR. `extension`: profile-specific bytes, whole 32-bit words."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()
    extension: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDescriptionChunk:
    """One source's items as (type, value)."""

    ssrc: int
    items: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDescription:
    """SDES."""

    chunks: tuple[SourceDescriptionChunk, ...]

    @classmethod
    def of_cname(cls, ssrc: int, cname: str) -> SourceDescription:
        """The description that every compound packet must carry: the source's canonical name."""
        item = (int(SourceDescriptionItem.CNAME), cname.encode())
        return cls(chunks=(SourceDescriptionChunk(ssrc=ssrc, items=(item,)),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodbye:
    """BYE: these sources stop."""

    ssrcs: tuple[int, ...]
    reason: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedReport:
    """XR (RFC 3611)."""

    ssrc: int
    blocks: tuple[XRBlock, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPacket:
    """A packet kept as it came: its type, five-bit count, and the bytes after the four-byte header."""

    type: int
    count: int
    body: bytes


RTCPPacket: TypeAlias = SenderReport | ReceiverReport | SourceDescription | Goodbye | ExtendedReport | RawPacket


def parse_compound(data: bytes) -> tuple[RTCPPacket, ...]:
    """The packets of one RTCP datagram, without padding. Raises RTPError when it is not one."""
    packets = []
    position = 0
    while position < len(data):
        packet, position = _parse_packet(data, position)
        packets.append(packet)
    if not packets:
        raise RTPError("an empty RTCP datagram")
    return tuple(packets)


def serialize_compound(packets: Iterable[RTCPPacket]) -> bytes:
    """One RTCP datagram. Raises ValueError for a packet with more entries than its header can count."""
    return b"".join(_serialize(packet) for packet in packets)


def _parse_packet(data: bytes, position: int) -> tuple[RTCPPacket, int]:
    if len(data) - position < _HEADER.size:
        raise RTPError(f"an RTCP packet is cut off after {len(data) - position} bytes")
    first, kind, words = _HEADER.unpack_from(data, position)
    start, end = position + _HEADER.size, position + _HEADER.size + words * _WORD
    if first >> 6 != VERSION:
        raise RTPError(f"RTCP version is {first >> 6}, not {VERSION}")
    if end > len(data):
        raise RTPError(f"an RTCP packet claims {words} words, {len(data) - start} bytes follow")
    body = bytes(data[start:end])
    if first & _PADDING_BIT:
        body = _without_padding(body)
    return _parse_body(kind, first & _MAXIMUM_COUNT, body), end


def _without_padding(body: bytes) -> bytes:
    padding = body[-1] if body else 0
    if padding == 0 or padding % _WORD or padding > len(body):
        raise RTPError(f"RTCP padding of {padding} bytes in a packet of {len(body)}")
    return body[:-padding]


def _parse_body(kind: int, count: int, body: bytes) -> RTCPPacket:
    try:
        match kind:
            case PacketType.SENDER_REPORT:
                return _parse_sender_report(count, body)
            case PacketType.RECEIVER_REPORT:
                return _parse_receiver_report(count, body)
            case PacketType.SOURCE_DESCRIPTION:
                return _parse_source_description(count, body)
            case PacketType.GOODBYE:
                return _parse_goodbye(count, body)
            case PacketType.EXTENDED_REPORT if count == 0:
                return ExtendedReport(ssrc=_SSRC.unpack_from(body)[0], blocks=parse_blocks(body[_WORD:]))
    except (struct.error, IndexError, RTPError):
        # The length was right, so the rest of the compound can still be read.
        return RawPacket(type=kind, count=count, body=body)
    return RawPacket(type=kind, count=count, body=body)


def _parse_reports(count: int, body: bytes, start: int) -> tuple[tuple[ReportBlock, ...], bytes]:
    end = start + count * _REPORT_BLOCK.size
    if end > len(body):
        raise RTPError(f"{count} report blocks do not fit in {len(body)} bytes")
    blocks = tuple(_parse_report(*fields) for fields in _REPORT_BLOCK.iter_unpack(body[start:end]))
    return blocks, body[end:]


def _parse_report(ssrc: int, lost: int, highest: int, jitter: int, last_sr: int, delay: int) -> ReportBlock:
    cumulative = lost & _MASK_24
    return ReportBlock(
        ssrc=ssrc,
        fraction_lost=lost >> 24,
        cumulative_lost=cumulative - (1 << 24) if cumulative & _SIGN_24 else cumulative,
        highest_sequence=highest,
        jitter=jitter,
        last_sr=last_sr,
        delay_since_last_sr=delay,
    )


def _parse_sender_report(count: int, body: bytes) -> SenderReport:
    ssrc, ntp, rtp_timestamp, packets, octets = _SENDER_INFO.unpack_from(body)
    reports, extension = _parse_reports(count, body, _SENDER_INFO.size)
    return SenderReport(
        ssrc=ssrc,
        ntp=ntp,
        rtp_timestamp=rtp_timestamp,
        packet_count=packets,
        octet_count=octets,
        reports=reports,
        extension=extension,
    )


def _parse_receiver_report(count: int, body: bytes) -> ReceiverReport:
    (ssrc,) = _SSRC.unpack_from(body)
    reports, extension = _parse_reports(count, body, _SSRC.size)
    return ReceiverReport(ssrc=ssrc, reports=reports, extension=extension)


def _parse_source_description(count: int, body: bytes) -> SourceDescription:
    chunks = []
    position = 0
    for _ in range(count):
        chunk, position = _parse_chunk(body, position)
        chunks.append(chunk)
    return SourceDescription(chunks=tuple(chunks))


def _parse_chunk(body: bytes, position: int) -> tuple[SourceDescriptionChunk, int]:
    (ssrc,) = _SSRC.unpack_from(body, position)
    position += _SSRC.size
    items = []
    while body[position] != _END_OF_ITEMS:
        kind, length = body[position], body[position + 1]
        start = position + 2
        if start + length >= len(body):
            raise RTPError("an SDES item runs over the end of its packet")
        items.append((kind, body[start : start + length]))
        position = start + length
    # The list ends with at least one zero, up to the next word.
    position += _WORD - position % _WORD
    return SourceDescriptionChunk(ssrc=ssrc, items=tuple(items)), position


def _parse_goodbye(count: int, body: bytes) -> Goodbye:
    ssrcs = struct.unpack_from(f">{count}I", body)
    rest = body[count * _WORD :]
    reason = rest[1 : 1 + rest[0]] if rest else b""
    return Goodbye(ssrcs=ssrcs, reason=reason)


def _serialize(packet: RTCPPacket) -> bytes:
    match packet:
        case SenderReport():
            kind, count, body = PacketType.SENDER_REPORT, len(packet.reports), _sender_report_body(packet)
        case ReceiverReport():
            body = _SSRC.pack(packet.ssrc) + _report_bytes(packet.reports) + packet.extension
            kind, count = PacketType.RECEIVER_REPORT, len(packet.reports)
        case SourceDescription():
            body = b"".join(_chunk_bytes(chunk) for chunk in packet.chunks)
            kind, count = PacketType.SOURCE_DESCRIPTION, len(packet.chunks)
        case Goodbye():
            kind, count, body = PacketType.GOODBYE, len(packet.ssrcs), _goodbye_body(packet)
        case ExtendedReport():
            body = _SSRC.pack(packet.ssrc) + serialize_blocks(packet.blocks)
            kind, count = PacketType.EXTENDED_REPORT, 0
        case RawPacket():
            return _with_header(packet.type, packet.count, packet.body)
    return _with_header(kind, count, body)


def _with_header(kind: int, count: int, body: bytes) -> bytes:
    if count > _MAXIMUM_COUNT:
        raise ValueError(f"{count} entries in an RTCP packet, at most {_MAXIMUM_COUNT} fit")
    if len(body) % _WORD:
        raise ValueError(f"an RTCP packet is whole 32-bit words, this has {len(body)} bytes")
    return _HEADER.pack(VERSION << 6 | count, kind, len(body) // _WORD) + body


def _sender_report_body(packet: SenderReport) -> bytes:
    info = _SENDER_INFO.pack(packet.ssrc, packet.ntp, packet.rtp_timestamp, packet.packet_count, packet.octet_count)
    return info + _report_bytes(packet.reports) + packet.extension


def _report_bytes(reports: Iterable[ReportBlock]) -> bytes:
    return b"".join(
        _REPORT_BLOCK.pack(
            block.ssrc,
            block.fraction_lost << 24 | block.cumulative_lost & _MASK_24,
            block.highest_sequence,
            block.jitter,
            block.last_sr,
            block.delay_since_last_sr,
        )
        for block in reports
    )


def _chunk_bytes(chunk: SourceDescriptionChunk) -> bytes:
    items = b"".join(bytes((kind, len(value))) + value for kind, value in chunk.items)
    data = _SSRC.pack(chunk.ssrc) + items
    return data + bytes(_WORD - len(data) % _WORD)


def _goodbye_body(packet: Goodbye) -> bytes:
    body = struct.pack(f">{len(packet.ssrcs)}I", *packet.ssrcs)
    if packet.reason:
        body += bytes((len(packet.reason),)) + packet.reason
    return body + bytes(-len(body) % _WORD)
