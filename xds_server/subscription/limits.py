"""How fast one stream may ask.

ACKs and NACKs come only as fast as we send, so they are free. Everything else draws on a bucket; when it is empty the
stream is read more slowly, and gRPC's flow control passes that on to the client.
"""

from __future__ import annotations

REQUESTS_PER_SECOND = 200.0
"""Subscription changes a second in the long run. Envoy batches its own; 200 lets a proxy follow any relay rate."""
REQUEST_BURST = 2_000.0
"""Subscription changes at once: what a client sends that subscribes name by name when it starts."""


class RequestBudget:
    """A token bucket. Times are seconds of any monotonic clock."""

    def __init__(self, now: float) -> None:
        self._tokens = REQUEST_BURST
        self._at = now

    def spend(self, now: float) -> float:
        """Count one request; returns how many seconds to wait before the next is read."""
        self._tokens = min(REQUEST_BURST, self._tokens + (now - self._at) * REQUESTS_PER_SECOND) - 1
        self._at = now
        return max(0.0, -self._tokens / REQUESTS_PER_SECOND)
