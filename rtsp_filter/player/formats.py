"""Codec and clock rate of an SDP media description, also of the payload types that need no rtpmap (RFC 3551)."""

from __future__ import annotations

import re

from rtsp_filter.rtsp import MediaDescription

DEFAULT_CLOCK_RATE = 90_000
"""Hz; of all video formats, and the best guess for what is not described."""

_STATIC = {
    "0": ("PCMU", 8_000),
    "3": ("GSM", 8_000),
    "4": ("G723", 8_000),
    "8": ("PCMA", 8_000),
    "9": ("G722", 8_000),
    "10": ("L16", 44_100),
    "11": ("L16", 44_100),
    "14": ("MPA", 90_000),
    "18": ("G729", 8_000),
    "26": ("JPEG", 90_000),
    "31": ("H261", 90_000),
    "32": ("MPV", 90_000),
    "33": ("MP2T", 90_000),
    "34": ("H263", 90_000),
}
"""RFC 3551, tables 4 and 5."""


_AAC_ENCODING = "MPEG4-GENERIC"
_AAC_MODE = re.compile(r"(?:^|;)\s*mode\s*=\s*AAC-[lh]br\s*(?:;|$)", re.IGNORECASE)
"""MPEG4-GENERIC carries several codecs; its mode tells which (RFC 3640, section 3.3)."""


def describe_format(media: MediaDescription) -> tuple[str, int]:
    """Name of the codec and clock rate in Hz. The name is the encoding name, but "AAC" for AAC in MPEG4-GENERIC."""
    if media.rtpmap is not None:
        return _codec(media.rtpmap.codec, media.fmtp), media.rtpmap.clock_rate or DEFAULT_CLOCK_RATE
    number = media.formats[0] if media.formats else ""
    return _STATIC.get(number, (f"payload type {number}" if number else "unknown", DEFAULT_CLOCK_RATE))


def _codec(encoding: str, parameters: str | None) -> str:
    aac = encoding.upper() == _AAC_ENCODING and _AAC_MODE.search(parameters or "") is not None
    return "AAC" if aac else encoding


def static_encoding(payload_type: str) -> str | None:
    """Encoding name of a payload type that needs no rtpmap; None of others."""
    return _STATIC[payload_type][0] if payload_type in _STATIC else None


def is_rtp(media: MediaDescription) -> bool:
    """Whether the section describes RTP, which is all that the player takes."""
    return media.proto.upper().startswith("RTP/")
