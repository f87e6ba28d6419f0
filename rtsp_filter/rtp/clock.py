"""The clocks of RTCP: 64-bit NTP timestamps, their middle 32 bits, and round trips (RFC 3550, section 4 and 6.4.1)."""

from __future__ import annotations

SECONDS_FROM_1900_TO_1970 = 2_208_988_800
"""NTP counts from 1900, Unix from 1970."""

_MASK_32 = 0xFFFFFFFF
_MASK_64 = 0xFFFFFFFFFFFFFFFF
_HALF = 1 << 31


def ntp_timestamp(unix_time: float) -> int:
    """`unix_time` (seconds) as a 64-bit NTP timestamp: 32 bits of seconds, 32 bits of fraction."""
    return int((unix_time + SECONDS_FROM_1900_TO_1970) * (1 << 32)) & _MASK_64


def compact(ntp: int) -> int:
    """The middle 32 bits of an NTP timestamp, in 1/65536 seconds: the LSR and LRR fields."""
    return ntp >> 16 & _MASK_32


def compact_duration(seconds: float) -> int:
    """A duration in 1/65536 seconds: the DLSR and DLRR fields. Too long a one is the longest."""
    return min(max(round(seconds * 65_536), 0), _MASK_32)


def round_trip(*, arrival: int, last_report: int, delay: int) -> float | None:
    """Seconds from `last_report` to `arrival` without the peer's `delay`; all in 1/65536 seconds.

    None when the peer names no report (zero), or its delay exceeds the time that has passed.
    """
    if last_report == 0:
        return None
    ticks = (arrival - last_report - delay) & _MASK_32
    return None if ticks >= _HALF else ticks / 65_536
