"""What a packetizer makes of an access unit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """The payload of one RTP packet; `marker` is set on the last one of an access unit."""

    data: bytes
    marker: bool
