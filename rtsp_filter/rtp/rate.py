"""The bit rate over the last interval."""

from __future__ import annotations

INTERVAL = 1.0
"""Seconds: long enough for a key frame each second not to make the figure jump, short enough to watch."""


class BitRate:
    """Bits over the last full interval; while the first one runs, what has come of it."""

    __slots__ = ("_bytes", "_rate", "_start")

    def __init__(self) -> None:
        self._start: float | None = None
        self._bytes = 0
        self._rate: float | None = None

    def add(self, size: int, now: float) -> None:
        """`size` bytes came at `now` (seconds)."""
        if self._start is None:
            self._start = now
        elif now - self._start >= INTERVAL:
            self._rate = self._bytes * 8 / (now - self._start)
            self._start = now
            self._bytes = 0
        self._bytes += size

    def at(self, now: float) -> float:
        """Bits a second as of `now`; falls towards zero when nothing comes any more."""
        if self._start is None:
            return 0.0
        elapsed = now - self._start
        if self._rate is not None and elapsed < INTERVAL:
            return self._rate
        # One burst just after the start is no bit rate.
        return self._bytes * 8 / max(elapsed, INTERVAL)
