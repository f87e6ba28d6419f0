"""What a cluster asks of its balancing, in RTSP's terms. The names and defaults are Envoy's.

Envoy API: config.cluster.v3.Cluster, config.cluster.v3.OutlierDetection, config.core.v3.HealthCheck.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from mesh.gateways import MediaSource

MAX_RING_SIZE = 65_536
"""Points on a ring. Envoy takes up to 8,388,608; making that many would hold up a proxy for seconds."""
MAX_TABLE_SIZE = 262_144
"""Places of a Maglev table; for the same reason. Envoy's default is 65,537."""

Labels = frozenset[tuple[str, object]]
"""Metadata of an endpoint, or what a route wants of it, under `envoy.lb`: names and plain values."""


class Algorithm(Enum):
    """Cluster.lb_policy; the values are for people."""

    ROUND_ROBIN = "round robin"
    LEAST_REQUEST = "least request"
    RANDOM = "random"
    RING_HASH = "ring hash"
    MAGLEV = "Maglev"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowStart:
    """Cluster.SlowStartConfig: a new endpoint's weight grows for `window` seconds, from `min_weight` (0 to 1) on.

    The part that it has after t seconds is (t / window) ** (1 / aggression).
    """

    window: float
    aggression: float = 1.0
    min_weight: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """CircuitBreakers.Thresholds of a cluster, in this proxy.

    `max_sessions` is max_connections, `max_setups` max_pending_requests: descriptions and set-ups that the endpoints
    have not answered yet. None: only the proxy's own limits hold.
    """

    max_sessions: int | None = None
    max_setups: int | None = None


class Fallback(Enum):
    """What is used where no endpoint has the labels that a route wants."""

    NONE = "no endpoint"
    ANY = "any endpoint"
    DEFAULT = "the default subset"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsetSelector:
    """LbSubsetSelector: routes may choose by these keys. `fallback` None: the cluster's own."""

    keys: frozenset[str]
    fallback: Fallback | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subsets:
    """Cluster.LbSubsetConfig."""

    selectors: tuple[SubsetSelector, ...]
    fallback: Fallback = Fallback.NONE
    default: Labels = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierDetection:
    """Who fails `consecutive_failures` times in a row is left out. Times are seconds.

    The first time it is for `base_ejection`, then for twice, three times that, `max_ejection` at most; every `interval`
    in which it is not ejected takes one time back. Never more than `max_percent` of a cluster, but always one.
    """

    consecutive_failures: int = 5
    interval: float = 10.0
    base_ejection: float = 30.0
    max_ejection: float = 300.0
    max_percent: int = 10


class Probe(Enum):
    """How an endpoint is asked how it is; the values are for people."""

    OPTIONS = "OPTIONS"
    DESCRIBE = "DESCRIBE"
    CONNECT = "a TCP connection"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """Questions to every endpoint, asked again and again. Times are seconds. DESCRIBE is asked for `path`, below the
    endpoint's own, and wants `codecs`, such as "video/H264", to be offered."""

    probe: Probe
    interval: float
    timeout: float
    healthy_threshold: int
    unhealthy_threshold: int
    path: str = "/"
    codecs: tuple[str, ...] = ()

    def __str__(self) -> str:
        wanted = f" with {', '.join(self.codecs)}" if self.codecs else ""
        return f"by {self.probe.value}{wanted} every {self.interval:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPolicy:
    """All of it. `panic_percent`: with fewer usable endpoints than this, usable or not, all are tried; 0: never.

    `moves_sessions`: the endpoints have the same streams, so a session whose endpoint fails goes on at another one.
    `media_source`: whose packets are taken for media over UDP.
    """

    algorithm: Algorithm = Algorithm.ROUND_ROBIN
    choice_count: int = 2
    active_request_bias: float = 1.0
    minimum_ring_size: int = 1024
    maximum_ring_size: int = MAX_RING_SIZE
    table_size: int = 65_537
    panic_percent: float = 50.0
    locality_weighted: bool = False
    breaker: Breaker = field(default_factory=Breaker)
    subsets: Subsets | None = None
    slow_start: SlowStart | None = None
    outliers: OutlierDetection | None = None
    health_check: HealthCheck | None = None
    moves_sessions: bool = False
    media_source: MediaSource = MediaSource.ANY

    def __str__(self) -> str:
        facts = [f"balanced by {self.algorithm.value}"]
        if self.breaker.max_sessions is not None:
            facts.append(f"limited to {self.breaker.max_sessions} sessions")
        if self.health_check is not None:
            facts.append(f"checked {self.health_check}")
        if self.outliers is not None:
            facts.append(f"without endpoints that fail {self.outliers.consecutive_failures} times in a row")
        if self.moves_sessions:
            facts.append("whose sessions move when an endpoint fails")
        if self.media_source is not MediaSource.ANY:
            facts.append(f"whose media is checked by {self.media_source.value}")
        return ", ".join(facts)
