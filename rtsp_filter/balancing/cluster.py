"""One cluster of a balancer: its endpoints, what has become of them, and the pools they make now."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf

from rtsp_filter.balancing import ejection
from rtsp_filter.balancing.hosts import Assignment, HostKey, HostState
from rtsp_filter.balancing.pickers import Chance
from rtsp_filter.balancing.pool import Pool
from rtsp_filter.balancing.settings import ClusterPolicy, Fallback, Labels, SlowStart
from rtsp_filter.balancing.subsets import choices, is_in

NO_ENDPOINT = "has no endpoint now"
NOT_ASKED_YET = "it has not been asked yet"


class RefusalKind(Enum):
    """Why a cluster gives no endpoint."""

    NO_ENDPOINT = "no endpoint"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a cluster gives no endpoint; `message` goes on from "the backend …"."""

    kind: RefusalKind
    message: str


class HostEvent(Enum):
    """What became of an endpoint; the values are for people."""

    EJECTED = "is left out"
    RETURNED = "is used again"
    PASSES = "passes its health checks"
    FAILS = "fails its health checks"


OnEvent = Callable[[str, HostState, HostEvent], None]
"""Told the cluster's name, the endpoint and what became of it."""


class ClusterState:
    """Endpoints and their sessions. `now` is seconds of one clock that never goes back."""

    def __init__(self, name: str, on_event: OnEvent) -> None:
        self.name = name
        self.policy = ClusterPolicy()
        self.assignment = Assignment()
        self.states: dict[HostKey, HostState] = {}
        self.sessions = 0
        self.setups = 0
        self._on_event = on_event
        self._now = -inf
        self._due = inf
        self._pools: dict[Labels | Fallback, Pool] = {}
        self._waited: dict[Labels | Fallback, Mapping[Hashable, float]] = {}
        self._leaving: dict[HostKey, HostState] = {}

    @property
    def idle(self) -> bool:
        """Whether nobody uses it."""
        return not self.sessions and not self.setups

    @property
    def full(self) -> Refusal | None:
        """Why it takes no more sessions, if it does not."""
        most = self.policy.breaker.max_sessions
        if most is None or self.sessions < most:
            return None
        return Refusal(kind=RefusalKind.FULL, message=f"has its {most} sessions already")

    def replace(self, policy: ClusterPolicy, assignment: Assignment, now: float) -> None:
        """What the control plane says now. What is known of endpoints that stay is kept."""
        since = now if self.states else -inf
        known = {**self._leaving, **self.states}
        self.states = {}
        for host in assignment.hosts:
            state = known.pop(host.key, None) or HostState(host=host, since=since)
            state.host = host
            self._expect_checks(state, policy)
            self.states[host.key] = state
        self._leaving = {key: state for key, state in known.items() if state.load}
        self.policy, self.assignment = policy, assignment
        self._renew(now)

    def pick(self, labels: Labels, key_hash: int | None, chance: Chance, now: float) -> HostState | Refusal:
        """An endpoint for a new session."""
        self._now = now
        if now >= self._due:
            self._renew(now)
        breaker = self.policy.breaker
        if self.full is not None:
            return self.full
        if breaker.max_setups is not None and self.setups >= breaker.max_setups:
            message = f"sets up {breaker.max_setups} sessions already, as many as it may at once"
            return Refusal(kind=RefusalKind.FULL, message=message)
        for choice in choices(self.policy.subsets, labels):
            state = self._pool(choice).pick(key_hash, chance)
            if state is not None:
                return state
        return Refusal(kind=RefusalKind.NO_ENDPOINT, message=NO_ENDPOINT)

    def succeeded(self, key: HostKey) -> None:
        """An endpoint has answered a description or set-up."""
        state = self.states.get(key)
        if state is not None:
            ejection.succeeded(state)

    def failed(self, key: HostKey, reason: str, now: float) -> None:
        """An endpoint has failed one."""
        state = self.states.get(key)
        if state is None:
            return
        if now >= self._due:
            self._renew(now)
        ejected = sum(each.ejected_until is not None for each in self.states.values())
        if ejection.failed(state, self.policy.outliers, ejected, len(self.states), reason, now):
            self._on_event(self.name, state, HostEvent.EJECTED)
            self._renew(now)

    def checked(self, key: HostKey, passing: bool, reason: str, now: float) -> None:
        """What health checks say of an endpoint from now on."""
        state = self.states.get(key)
        if state is None or self.policy.health_check is None:
            return
        first = state.check == NOT_ASKED_YET
        if passing and not state.passing and not first:
            state.since = now
        changed = state.passing is not passing or first
        state.passing, state.check = passing, "" if passing else reason
        if changed:
            self._on_event(self.name, state, HostEvent.PASSES if passing else HostEvent.FAILS)
            self._renew(now)

    def state_of(self, key: HostKey) -> HostState | None:
        """An endpoint, even one that has gone but has sessions."""
        return self.states.get(key) or self._leaving.get(key)

    def forget(self, state: HostState) -> None:
        """Let go of an endpoint that has gone, with its last session."""
        if not state.load:
            self._leaving.pop(state.host.key, None)

    def _expect_checks(self, state: HostState, policy: ClusterPolicy) -> None:
        """An endpoint that is to be checked counts as failing until it has passed, as in Envoy."""
        if policy.health_check is None:
            state.passing, state.check = None, ""
        elif state.passing is None:
            state.passing, state.check = False, NOT_ASKED_YET

    def _renew(self, now: float) -> None:
        """Make pools anew when they are next needed: something about the endpoints has changed."""
        self._now = now
        for state in self.states.values():
            if ejection.ended(state, now):
                self._on_event(self.name, state, HostEvent.RETURNED)
        self._waited.update({choice: pool.waited() for choice, pool in self._pools.items()})
        self._pools = {}
        self._due = min((due for state in self.states.values() for due in self._dues(state)), default=inf)

    def _dues(self, state: HostState) -> list[float]:
        """When an endpoint changes by itself."""
        dues = [] if state.ejected_until is None else [state.ejected_until]
        slow = self.policy.slow_start
        if slow is not None and state.since + slow.window > self._now:
            dues.append(state.since + slow.window)
        return dues

    def _pool(self, choice: Labels | Fallback) -> Pool:
        pool = self._pools.get(choice)
        if pool is None:
            members = [state for state in self.states.values() if is_in(state.host, self.policy.subsets, choice)]
            waited = self._waited.pop(choice, None)
            pool = Pool(members, self.policy, self.assignment.overprovisioning, self._weigh, waited)
            self._pools[choice] = pool
        return pool

    def _weigh(self, state: HostState) -> float:
        slow = self.policy.slow_start
        if slow is None:
            return state.host.weight
        return state.host.weight * _grown(slow, self._now - state.since)


def _grown(slow: SlowStart, age: float) -> float:
    """The part of its weight that an endpoint of this age has."""
    if age >= slow.window:
        return 1.0
    return max(slow.min_weight, math.pow(max(age, 1.0) / slow.window, 1 / slow.aggression))
