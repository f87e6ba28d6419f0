"""What RTSP 2.0 tells of a stream in SETUP (RFC 7826, 18.5, 18.29, 18.47), taken from what RTSP 1.0 has for it.

RTSP 1.0 says in `a=range` of the session description how long a stream is; what has no end there is live.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rtsp_filter.rtsp.sdp import SessionDescription

ACCEPT_RANGES = "npt, clock, smpte"
"""Formats of Range that a client leg may get: it passes them on."""

SERVED_RANGES = "npt"
"""The one format that every server of RTSP 1.0 has to know (RFC 2326, 3.6)."""

SEEK_STYLE = "RAP"
"""How cameras of RTSP 1.0 seek, who are not told: to the key frame before."""

SUPPORTED = "play.basic"
"""The option tag of what RTSP 1.0 can do (RFC 7826, 11.1)."""

_LENGTH = re.compile(r"npt\s*=\s*[0-9.:]+\s*-\s*[0-9.:]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaProperties:
    """A recording can be sought in and stays as it is; what is live goes on and is not kept."""

    live: bool

    def encode(self) -> str:
        """The value of Media-Properties."""
        if self.live:
            return "No-Seeking, Time-Progressing, Time-Duration=0.0"
        return "Random-Access, Immutable, Unlimited"


def media_properties(description: SessionDescription) -> MediaProperties:
    """What a session description tells of its stream."""
    ranges = [line.removeprefix("a=range:") for line in description.raw_lines if line.startswith("a=range:")]
    return MediaProperties(live=not any(_LENGTH.fullmatch(line.strip()) for line in ranges))
