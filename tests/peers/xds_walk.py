"""A random walk over everything that an Envoy can be told: what is wanted changes step by step, now and then badly.

The walk keeps a small model of what is wanted and makes the resources from it, so that whatever it does is consistent:
a cluster has its assignment, a listener its routes, and nobody points at a cluster that there is not. A part is bad
when Envoy refuses it; each kind of part has its way of being bad.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tests.peers.envoy_messages import (
    CLUSTER,
    ENDPOINT,
    LISTENER,
    NOBODYS_ADDRESS,
    ROUTE,
    assignment,
    eds_cluster,
    http_listener,
    route,
    udp_listener,
)
from xds_server.cache import ResourceCache
from xds_server.resources import Resource

CLUSTERS = [f"cluster-{number}" for number in range(12)]
LISTENERS = [f"listener-{number}" for number in range(12)]
ADDRESSES = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
HEALTHS = [1, 2, 5]
"""Healthy, unhealthy and degraded (`core.v3.HealthStatus`)."""
PORTS = range(5000, 5020)
# Envoy allows priorities up to 128.
BAD_PRIORITY = 200
# Steps that one change may hold.
BUNDLE = 8

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """`endpoints`: port, weight and health of each. Either of the two resources may be bad."""

    connect_timeout: int = 1
    endpoints: tuple[tuple[int, int, int], ...] = ()
    bad: bool = False
    bad_endpoints: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """UDP, or HTTP with routes of the same name. Either of the two resources may be bad."""

    cluster: str
    http: bool
    address: str = ADDRESSES[0]
    bad: bool = False
    bad_route: bool = False


@dataclass(slots=True)
class Walk:
    """`source` is the ConfigSource of endpoints and routes; every choice comes from `random`."""

    random: Random
    cache: ResourceCache
    source: Any
    clusters: dict[str, Cluster] = field(default_factory=lambda: {CLUSTERS[0]: Cluster()})
    listeners: dict[str, Listener] = field(default_factory=dict)

    def step(self) -> None:
        """One change of the cache, of one thing or of several at once, or one that is undone at once."""
        before = dict(self.clusters), dict(self.listeners)
        for _ in range(self.random.choice((1, 1, 1, 2, BUNDLE))):
            self.random.choice(self._steps())()
        self.put()
        if self.random.random() < 0.05:
            self.clusters, self.listeners = before
            self.put()

    def mend(self) -> None:
        """Make all that is bad good."""
        for name, cluster in self.clusters.items():
            self.clusters[name] = replace(cluster, bad=False, bad_endpoints=False)
        for name, listener in self.listeners.items():
            self.listeners[name] = replace(listener, bad=False, bad_route=False)
        self.put()

    def bad(self) -> frozenset[Key]:
        """What Envoy refuses."""
        clusters, listeners = self.clusters.items(), self.listeners.items()
        return frozenset(
            [(CLUSTER, name) for name, cluster in clusters if cluster.bad]
            + [(ENDPOINT, name) for name, cluster in clusters if cluster.bad_endpoints]
            + [(LISTENER, name) for name, listener in listeners if listener.bad]
            + [(ROUTE, name) for name, listener in listeners if listener.bad_route]
        )

    def unknowable(self) -> frozenset[Key]:
        """What is bad, and what hangs on it: nobody can say what Envoy has of that."""
        hangs = {CLUSTER: ENDPOINT, LISTENER: ROUTE}
        bad = self.bad()
        return bad | {(hangs[kind], name) for kind, name in bad if kind in hangs}

    def put(self) -> None:
        """Bring the cache to what is wanted, in one change."""
        wanted = [Resource.of(message) for message in self._messages()]
        names = {(resource.type_url, resource.name) for resource in wanted}
        held = {(kind, name) for kind in (LISTENER, CLUSTER, ROUTE, ENDPOINT) for name in self.cache.resources(kind)}
        self.cache.update(upsert=wanted, remove=sorted(held - names))

    def _steps(self) -> list[Callable[[], None]]:
        """Adding is twice as likely as removing, and mending as spoiling."""
        often = [self._add_cluster, self._add_listener, self._change_endpoints, self._retarget, self._undo]
        rarely = [self._remove_cluster, self._remove_listener, self._change_cluster, self._move]
        return [*often, *often, *rarely, self._spoil_cluster, self._spoil_listener]

    def _add_cluster(self) -> None:
        name = self.random.choice(CLUSTERS)
        self.clusters.setdefault(name, Cluster(endpoints=self._endpoints()))

    def _remove_cluster(self) -> None:
        gone = self.random.choice(sorted(self.clusters))
        if len(self.clusters) > 1:
            del self.clusters[gone]
            for name, listener in self.listeners.items():
                if listener.cluster == gone:
                    self.listeners[name] = replace(listener, cluster=self._any_cluster())

    def _change_cluster(self) -> None:
        name = self._any_cluster()
        self.clusters[name] = replace(self.clusters[name], connect_timeout=self.random.randint(1, 9))

    def _change_endpoints(self) -> None:
        name = self._any_cluster()
        self.clusters[name] = replace(self.clusters[name], endpoints=self._endpoints())

    def _spoil_cluster(self) -> None:
        name = self._any_cluster()
        cluster, endpoints = self.clusters[name], self.random.random() < 0.5
        self.clusters[name] = replace(cluster, bad_endpoints=True) if endpoints else replace(cluster, bad=True)

    def _add_listener(self) -> None:
        name = self.random.choice(LISTENERS)
        self.listeners.setdefault(name, Listener(cluster=self._any_cluster(), http=self.random.random() < 0.5))

    def _remove_listener(self) -> None:
        self.listeners.pop(self.random.choice(LISTENERS), None)

    def _retarget(self) -> None:
        self._change_listener(lambda listener: replace(listener, cluster=self._any_cluster()))

    def _move(self) -> None:
        self._change_listener(lambda listener: replace(listener, address=self.random.choice(ADDRESSES)))

    def _spoil_listener(self) -> None:
        routes = self.random.random() < 0.5
        self._change_listener(lambda each: replace(each, bad_route=each.http) if routes else replace(each, bad=True))

    def _change_listener(self, change: Callable[[Listener], Listener]) -> None:
        if self.listeners:
            name = self.random.choice(sorted(self.listeners))
            self.listeners[name] = change(self.listeners[name])

    def _undo(self) -> None:
        """Make one bad thing good."""
        if bad := sorted(self.bad()):
            kind, name = self.random.choice(bad)
            if kind == CLUSTER:
                self.clusters[name] = replace(self.clusters[name], bad=False)
            elif kind == ENDPOINT:
                self.clusters[name] = replace(self.clusters[name], bad_endpoints=False)
            elif kind == LISTENER:
                self.listeners[name] = replace(self.listeners[name], bad=False)
            else:
                self.listeners[name] = replace(self.listeners[name], bad_route=False)

    def _any_cluster(self) -> str:
        return self.random.choice(sorted(self.clusters))

    def _endpoints(self) -> tuple[tuple[int, int, int], ...]:
        ports = self.random.sample(PORTS, self.random.randint(0, 4))
        return tuple((port, self.random.randint(1, 100), self.random.choice(HEALTHS)) for port in ports)

    def _messages(self) -> Iterator[Any]:
        for name, cluster in self.clusters.items():
            yield from self._cluster(name, cluster)
        for name, listener in self.listeners.items():
            yield self._listener(name, listener)
            if listener.http:
                yield _route(name, listener)

    def _cluster(self, name: str, cluster: Cluster) -> Iterator[Any]:
        message = eds_cluster(name, self.source, connect_timeout=cluster.connect_timeout)
        if cluster.bad:
            # A cluster that finds its endpoints by itself does not balance by "what the cluster provides".
            message.lb_policy = message.CLUSTER_PROVIDED
        yield message
        endpoints = assignment(name, *(port for port, _, _ in cluster.endpoints))
        for group, (_, weight, health) in zip(endpoints.endpoints, cluster.endpoints, strict=True):
            group.lb_endpoints[0].load_balancing_weight.value = weight
            group.lb_endpoints[0].health_status = health
        if cluster.bad_endpoints:
            endpoints.endpoints.add(priority=BAD_PRIORITY)
        yield endpoints

    def _listener(self, name: str, listener: Listener) -> Any:
        address = NOBODYS_ADDRESS if listener.bad else listener.address
        if listener.http:
            return http_listener(name, name, self.source, address=address)
        return udp_listener(name, listener.cluster, address=address)


def _route(name: str, listener: Listener) -> Any:
    message = route(name, listener.cluster)
    if listener.bad_route:
        # A domain may stand in one virtual host only.
        message.virtual_hosts.add(name="all-again", domains=["*"])
    return message
