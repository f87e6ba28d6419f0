"""How fast one stream may ask, and one node may open streams.

Plain ACKs and NACKs come only as fast as we send, so they are free. Everything else draws on a bucket; when it is empty
the stream is read more slowly, and gRPC's flow control passes that on to the client.
"""

from __future__ import annotations

REQUESTS_PER_SECOND = 200.0
"""Subscription changes a second in the long run. Envoy batches its own; 200 lets a proxy follow any relay rate."""
REQUEST_BURST = 2_000.0
"""Subscription changes at once: what a client sends that subscribes name by name when it starts."""

OPENS_PER_SECOND = 2.0
"""Streams that one node may open in the long run. A proxy that is refused tries once a second."""
OPEN_BURST = 200.0
"""Streams that one node may open at once: as many as a connection carries, twice, as it may restart soon after."""
MAX_STREAMS = 20_000
"""Streams at once, of all nodes, with those that have not said yet whose they are: 50 KB each, so 1 GB."""
MAX_NODES = 40_000
"""Nodes whose openings are counted; the one that was heard of longest ago is forgotten first."""


class Bucket:
    """A token bucket. Times are seconds of any monotonic clock."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, now: float, *, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens = burst
        self._at = now

    def spend(self, now: float, cost: float = 1.0) -> float:
        """Take `cost`; returns how many seconds that came too early."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate) - cost
        self._at = now
        return max(0.0, -self._tokens / self._rate)

    def refund(self) -> None:
        """Take back the last one: it was refused."""
        self._tokens += 1


def request_budget(now: float) -> Bucket:
    """The bucket of one stream's requests: what it gives is the time to wait before the next is read."""
    return Bucket(now, rate=REQUESTS_PER_SECOND, burst=REQUEST_BURST)


class Admission:
    """Which streams may be opened."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[str, str], Bucket] = {}

    def refusal(self, node: tuple[str, str], now: float) -> str | None:
        """Why a node (its cluster and id) may not open another stream; None: it may."""
        bucket = self._nodes.pop(node, None) or Bucket(now, rate=OPENS_PER_SECOND, burst=OPEN_BURST)
        self._nodes[node] = bucket
        if len(self._nodes) > MAX_NODES:
            del self._nodes[next(iter(self._nodes))]
        early = bucket.spend(now)
        if early > 0:
            bucket.refund()
            return f"node {node[1]!r} opens streams too often: wait {early:.1f} s, and see why its streams end"
        return None
