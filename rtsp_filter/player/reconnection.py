"""When a session over UDP, whose connection has ended, connects again, and what is said of that meanwhile. No I/O."""

from __future__ import annotations

RECONNECT_INTERVAL = 1.0
"""Seconds from one attempt to connect to the next; the first one comes at once."""


class Reconnection:
    """Of one session, which began to connect at `now`. `at` is when to connect again; None: not now. `loss` is why
    there was no connection, until the server has said that it still has the session; `times` is how often one was
    made again."""

    def __init__(self, now: float) -> None:
        self.at: float | None = None
        self.loss: str | None = None
        self.times = 0
        self._last_attempt = now

    def lost(self, reason: str, now: float) -> None:
        """There is no connection, or no longer; the first reason counts."""
        self.loss = self.loss or reason
        self.at = max(now, self._last_attempt + RECONNECT_INTERVAL)

    def due(self, now: float) -> bool:
        """Whether to connect now; then that counts as an attempt."""
        if self.at is None or now < self.at:
            return False
        self.at, self._last_attempt = None, now
        return True

    def before(self, reason: str) -> str:
        """`reason`, with what came before it."""
        return f"{self.loss}, and then: {reason}" if self.loss else reason
