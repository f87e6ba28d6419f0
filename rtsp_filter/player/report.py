"""What a played session measured: the same values for people, JSON and benchmarks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class PlayTransport(StrEnum):
    """How media comes: UDP port pairs, or interleaved in the RTSP connection."""

    UDP = "udp"
    TCP = "tcp"


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True)


Milliseconds = Annotated[float, Field(json_schema_extra={"unit": "ms"})]
Count = Annotated[int, Field(json_schema_extra={"unit": "packets"})]


class TrackReport(_Report):
    """One track of a session, from the first packet until now."""

    media: str = Field(description='What the track is: "video", "audio", "application".')
    codec: str = Field(
        description='Encoding name of the session description, such as "H264"; "AAC" where that name is MPEG4-GENERIC'
        " and the mode AAC-hbr or AAC-lbr."
    )
    ssrc: int | None = Field(description="Synchronization source heard last; null before the first packet.")
    packets: Count = Field(description="RTP packets received, duplicates not included.")
    bytes: int = Field(description="Bytes of all RTP packets, headers and duplicates included.")
    lost: Count = Field(description="RTP packets that were sent and have not arrived, told by sequence numbers.")
    reordered: Count = Field(description="RTP packets that arrived after one with a higher sequence number.")
    duplicates: Count = Field(description="RTP packets that arrived more than once.")
    malformed: Count = Field(description="Datagrams or frames that were no RTP or RTCP packet.")
    jitter_ms: Milliseconds = Field(description="Interarrival jitter in milliseconds (RFC 3550, section 6.4.1).")
    bitrate_bps: int = Field(
        description="Bits a second, RTP headers included: over the last second, or the whole of an ended session."
    )
    round_trip_ms: Milliseconds | None = Field(
        description="Latest round trip to the sender in milliseconds (RTCP XR, RFC 3611); null if it answers none."
    )
    sender_reports: Count = Field(description="RTCP sender reports received.")


class PlayReport(_Report):
    """One session."""

    url: str = Field(description="What was played, after redirects and without credentials.")
    transport: PlayTransport = Field(description="How media came.")
    setup_ms: Milliseconds | None = Field(
        description="Milliseconds from the start of connecting to the PLAY response; null if it did not come."
    )
    first_packet_ms: Milliseconds | None = Field(
        description="Milliseconds from the start of connecting to the first RTP packet; null if none came. Often less"
        " than setup_ms: a sender need not wait until its PLAY response has been read."
    )
    duration_s: float = Field(description="Seconds from the PLAY response on.")
    tracks: tuple[TrackReport, ...] = Field(description="Every track that was set up.")
    reconnections: int = Field(
        default=0, description="How often the connection ended and was made again while media over UDP went on."
    )
    error: str | None = Field(
        description="Why the session failed or ended early, or which audio or video track got no media; null if all"
        " went well."
    )


class Percentiles(_Report):
    """A distribution over sessions, in milliseconds (nearest rank)."""

    p50: Milliseconds = Field(description="Half of the sessions took no longer.")
    p90: Milliseconds = Field(description="Nine of ten sessions took no longer.")
    p99: Milliseconds = Field(description="99 of 100 sessions took no longer.")

    @classmethod
    def of(cls, values: Sequence[float]) -> Percentiles | None:
        """The percentiles of `values`; None when there are none."""
        ordered = sorted(values)
        if not ordered:
            return None
        p50, p90, p99 = (ordered[math.ceil(len(ordered) * share / 100) - 1] for share in (50, 90, 99))
        return cls(p50=p50, p90=p90, p99=p99)


class Failure(_Report):
    """Sessions that failed for one reason."""

    reason: str = Field(description="What a session's error says.")
    sessions: int = Field(description="How many sessions say so.")


class ManyReport(_Report):
    """Many sessions of one URL."""

    url: str = Field(description="What was asked for, without credentials.")
    transport: PlayTransport = Field(description="How media came.")
    sessions: int = Field(description="Sessions that were started.")
    failed: int = Field(description="Sessions that have an error: failed, ended early, or a track without media.")
    failures: tuple[Failure, ...] = Field(description="Reasons of the failed sessions, the most frequent first.")
    setup_ms: Percentiles | None = Field(description="Of the sessions whose PLAY was answered.")
    first_packet_ms: Percentiles | None = Field(description="Of the sessions that received media.")
    packets: Count = Field(description="RTP packets received by all sessions, duplicates not included.")
    bytes: int = Field(description="Bytes of all RTP packets of all sessions.")
    lost: Count = Field(description="RTP packets lost by all sessions.")
    reordered: Count = Field(description="RTP packets reordered, of all sessions.")
    duplicates: Count = Field(description="RTP packets that came more than once, of all sessions.")
