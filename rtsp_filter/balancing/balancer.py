"""Which endpoint a new session goes to. One balancer serves a proxy; it knows what the proxy has seen, and no more.

A choice is three steps: `share` says which of a route's clusters has its turn, `pick` which endpoint, and the rest of
the methods tell the balancer what came of it. Whoever was picked is the session's until its end.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass

from rtsp_filter.balancing.cluster import NO_ENDPOINT, ClusterState, HostEvent, OnEvent, Refusal, RefusalKind
from rtsp_filter.balancing.hosts import Assignment, HostKey, HostState
from rtsp_filter.balancing.pickers import Chance
from rtsp_filter.balancing.settings import ClusterPolicy, Labels
from rtsp_filter.balancing.turns import Turns

Shares = tuple[tuple[Hashable, int], ...]
"""What tells the shares of a route apart (such as their clusters), and their weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """What the control plane says of a cluster."""

    policy: ClusterPolicy
    assignment: Assignment


class Use:
    """A session, or an attempt at one, that an endpoint has until `end`."""

    __slots__ = ("_cluster", "_is_session", "_state")

    def __init__(self, cluster: ClusterState, state: HostState, *, is_session: bool) -> None:
        self._cluster = cluster
        self._state: HostState | None = state
        self._is_session = is_session
        self._count(1)

    def end(self) -> None:
        """Once is enough; more do no harm."""
        if self._state is None:
            return
        self._count(-1)
        self._cluster.forget(self._state)
        self._state = None

    def _count(self, change: int) -> None:
        assert self._state is not None
        if self._is_session:
            self._cluster.sessions += change
            self._state.sessions += change
        else:
            self._cluster.setups += change
            self._state.setups += change


class Balancer:
    """All clusters of a proxy. `now` is seconds of one clock that never goes back."""

    def __init__(self, on_event: OnEvent | None = None) -> None:
        self._on_event = on_event or _ignore
        self._clusters: dict[str, ClusterState] = {}
        self._turns: dict[Hashable, tuple[Shares, Turns[Hashable]]] = {}
        self._old_turns: dict[Hashable, tuple[Shares, Turns[Hashable]]] = {}

    def update(self, views: Mapping[str, ClusterView], now: float) -> None:
        """All clusters as they are now. One whose policy and assignment are the very ones of before costs nothing."""
        for name, view in views.items():
            cluster = self._clusters.get(name)
            if cluster is None:
                cluster = self._clusters[name] = ClusterState(name, self._on_event)
            if cluster.policy is not view.policy or cluster.assignment is not view.assignment:
                cluster.replace(view.policy, view.assignment, now)
        for name in self._clusters.keys() - views.keys():
            if self._clusters[name].idle:
                del self._clusters[name]
            else:
                self._clusters[name].replace(ClusterPolicy(), Assignment(), now)

    def routes_changed(self) -> None:
        """Turns of routes that nobody asks for until the next change are forgotten."""
        self._old_turns, self._turns = self._turns, {}

    def share(self, route: Hashable, shares: Shares) -> int:
        """The index of the share whose turn it is, so that the weights of a route hold. Some weight is not 0."""
        if len(shares) == 1:
            return 0
        known = self._turns.get(route) or self._old_turns.pop(route, None)
        if known is None or known[0] != shares:
            weights = dict(shares)
            turns = Turns(weights, lambda name: weights[name], None if known is None else known[1].remaining())
            known = shares, turns
        self._turns[route] = known
        turn = known[1].next()
        return next(index for index, (member, _) in enumerate(shares) if member == turn)

    def pick(
        self, cluster: str, *, labels: Labels = frozenset(), key_hash: int | None = None, chance: Chance, now: float
    ) -> HostState | Refusal:
        """An endpoint for a new session that wants `labels` and has this hash. The state is to be read only."""
        known = self._clusters.get(cluster)
        if known is None:
            return Refusal(kind=RefusalKind.NO_ENDPOINT, message=NO_ENDPOINT)
        return known.pick(labels, key_hash, chance, now)

    def full(self, cluster: str) -> Refusal | None:
        """Why a cluster takes no more sessions, if it does not: more may have been picked than it takes."""
        known = self._clusters.get(cluster)
        return None if known is None else known.full

    def attempt(self, cluster: str, key: HostKey) -> Use | None:
        """A description or set-up begins; None: the endpoint has gone."""
        return self._use(cluster, key, is_session=False)

    def session(self, cluster: str, key: HostKey) -> Use | None:
        """A session begins; None: the endpoint has gone."""
        return self._use(cluster, key, is_session=True)

    def succeeded(self, cluster: str, key: HostKey) -> None:
        """The endpoint has answered a description or set-up."""
        if cluster in self._clusters:
            self._clusters[cluster].succeeded(key)

    def failed(self, cluster: str, key: HostKey, reason: str, now: float) -> None:
        """The endpoint has failed one."""
        if cluster in self._clusters:
            self._clusters[cluster].failed(key, reason, now)

    def checked(self, cluster: str, key: HostKey, *, passing: bool, reason: str, now: float) -> None:
        """What health checks say of an endpoint from now on."""
        if cluster in self._clusters:
            self._clusters[cluster].checked(key, passing, reason, now)

    def state_of(self, cluster: str, key: HostKey) -> HostState | None:
        """What has become of an endpoint; None: it has gone, and has no session. To be read only."""
        known = self._clusters.get(cluster)
        return None if known is None else known.state_of(key)

    def has(self, cluster: str, key: HostKey) -> bool:
        """Whether an endpoint is its cluster's now, and has not gone with sessions left."""
        known = self._clusters.get(cluster)
        return known is not None and key in known.states

    def states(self) -> Iterator[tuple[str, HostState]]:
        """All endpoints, by cluster. To be read only."""
        for name, cluster in self._clusters.items():
            for state in cluster.states.values():
                yield name, state

    def _use(self, name: str, key: HostKey, *, is_session: bool) -> Use | None:
        cluster, state = self._clusters.get(name), self.state_of(name, key)
        if cluster is None or state is None:
            return None
        return Use(cluster, state, is_session=is_session)


def _ignore(cluster: str, state: HostState, event: HostEvent) -> None:
    """Nobody wants to know."""
