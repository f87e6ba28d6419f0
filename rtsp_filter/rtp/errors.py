"""The error root of this package."""

from __future__ import annotations


class RTPError(Exception):
    """Bytes that are not what they claim to be: an RTP or RTCP packet, or an elementary stream. The sender's fault."""
