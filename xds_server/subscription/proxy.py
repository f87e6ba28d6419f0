"""What is known of one connected proxy, and who is told when that changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol


class XdsProtocol(Enum):
    """How a stream exchanges resources."""

    DELTA = "delta"
    SOTW = "sotw"


class SyncState(Enum):
    """How far a proxy is with one resource."""

    SYNCED = "synced"
    """It has acknowledged what it should have."""
    SENT = "sent"
    """What it should have was sent; no answer yet."""
    NOT_SENT = "not_sent"
    """It should have the resource and was sent no version of it."""
    STALE = "stale"
    """It has an older version; the newer one waits for its turn."""
    REJECTED = "rejected"
    """It refused what it should have, and keeps what it had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Locality:
    """Where a proxy says it runs (envoy.config.core.v3.Locality)."""

    region: str = ""
    zone: str = ""
    sub_zone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Who a proxy says it is (envoy.config.core.v3.Node). `metadata` is JSON-like data of its bootstrap."""

    id: str
    cluster: str
    user_agent: str = ""
    user_agent_version: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    locality: Locality = Locality()
    client_features: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceStatus:
    """One resource as one proxy has it. `version_*` are None where there is none, or a removal."""

    type_url: str
    name: str
    version_sent: str | None
    version_acknowledged: str | None
    state: SyncState
    error: str | None = None


@dataclass(slots=True, kw_only=True)
class Traffic:
    """What was exchanged. Requests count all that came, ACKs and NACKs too; throttled ones had to wait."""

    requests: int = 0
    acks: int = 0
    nacks: int = 0
    throttled: int = 0
    responses: int = 0
    bytes_sent: int = 0

    def add(self, other: Traffic) -> None:
        """Count in what `other` counted."""
        self.requests += other.requests
        self.acks += other.acks
        self.nacks += other.nacks
        self.throttled += other.throttled
        self.responses += other.responses
        self.bytes_sent += other.bytes_sent


@dataclass(slots=True, kw_only=True, eq=False)
class ConnectedProxy:
    """One stream of one proxy.

    id: of the stream, unique in this process.
    peer: its address, as gRPC writes it.
    connected_at: seconds since the epoch.
    had_state: its first requests said what it has already, so it is not new.
    traffic: what was exchanged on the stream.
    statuses: every resource that the proxy has, was sent or should have, by type and name. Each is told as it is when
        it is reached, so that whoever goes through many can pause.
    counts: how many of those are in each state, by type URL; cheap where the proxy is up to date.
    unanswered_since: when the oldest response without an answer was sent, in monotonic seconds; None: it owes none.
    """

    id: str
    node: Node
    peer: str
    connected_at: float
    protocol: XdsProtocol
    statuses: Callable[[], Iterable[ResourceStatus]] = field(repr=False)
    counts: Callable[[], dict[str, Counter[SyncState]]] = field(repr=False)
    unanswered_since: Callable[[], float | None] = field(repr=False)
    had_state: bool = False
    traffic: Traffic = field(default_factory=Traffic)


class StreamObserver(Protocol):
    """Is told what proxies do. Called between steps of a stream, so it may update the cache."""

    def proxy_connected(self, proxy: ConnectedProxy) -> None:
        """A stream has said who it is."""

    def proxy_disconnected(self, proxy: ConnectedProxy) -> None:
        """The stream is gone."""

    def resources_acknowledged(self, proxy: ConnectedProxy, type_url: str, versions: Mapping[str, str | None]) -> None:
        """The proxy now has these versions, by name; None: it has removed the resource or let go of it.

        Also told when the proxy turns out to have already what the cache holds.
        """

    def resources_rejected(self, proxy: ConnectedProxy, type_url: str, names: Sequence[str], message: str) -> None:
        """The proxy refuses what these names hold; nothing else of that response is to blame."""
