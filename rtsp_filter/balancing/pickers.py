"""The algorithms: each picks one of some endpoints that are all as good as each other but for their weight.

Envoy: architecture overview, supported load balancers. Sessions stand where Envoy counts requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from rtsp_filter.balancing.consistent import Maglev, Ring
from rtsp_filter.balancing.hashing import HASHES
from rtsp_filter.balancing.hosts import HostKey, HostState
from rtsp_filter.balancing.settings import Algorithm, ClusterPolicy
from rtsp_filter.balancing.turns import Turns

Chance = Callable[[], float]
"""Gives numbers in [0, 1)."""
Weigh = Callable[[HostState], float]


class Picker(Protocol):
    """Picks one of its endpoints."""

    def pick(self, key_hash: int | None, chance: Chance) -> HostState:
        """The endpoint for a request with this hash, if it has one."""

    def waited(self) -> dict[HostKey, float]:
        """For the turns of a successor: how long each has still to wait."""


class TurnPicker:
    """By turns, so that weights hold exactly: round robin, and least request where weights differ."""

    def __init__(self, states: Sequence[HostState], weigh: Weigh, waited: Mapping[HostKey, float]) -> None:
        self._states = {state.host.key: state for state in states}
        self._turns = Turns(self._states, lambda key: weigh(self._states[key]), waited)

    def pick(self, key_hash: int | None, chance: Chance) -> HostState:
        return self._states[self._turns.next()]

    def waited(self) -> dict[HostKey, float]:
        return self._turns.remaining()


class RandomPicker:
    """Any, whatever its weight."""

    def __init__(self, states: Sequence[HostState]) -> None:
        self._states = states

    def pick(self, key_hash: int | None, chance: Chance) -> HostState:
        return self._states[int(chance() * len(self._states))]

    def waited(self) -> dict[HostKey, float]:
        return {}


class LeastPicker(RandomPicker):
    """Of some picked at random the one with the fewest sessions; of all, if the choices are as many."""

    def __init__(self, states: Sequence[HostState], choices: int) -> None:
        super().__init__(states)
        self._choices = choices

    def pick(self, key_hash: int | None, chance: Chance) -> HostState:
        count = len(self._states)
        if self._choices < count:
            return min((self._states[int(chance() * count)] for _ in range(self._choices)), key=_load)
        first = int(chance() * count)
        return min((self._states[(first + step) % count] for step in range(count)), key=_load)


class HashPicker:
    """By the request's hash; a request without one goes anywhere."""

    def __init__(self, states: Sequence[HostState], table: Ring | Maglev) -> None:
        self._states = states
        self._table = table

    def pick(self, key_hash: int | None, chance: Chance) -> HostState:
        return self._states[self._table.find(int(chance() * HASHES) if key_hash is None else key_hash)]

    def waited(self) -> dict[HostKey, float]:
        return {}


def make_picker(
    policy: ClusterPolicy, states: Sequence[HostState], weigh: Weigh, waited: Mapping[HostKey, float]
) -> Picker:
    """The picker of a cluster's algorithm. `weigh` is what counts now; `states` are not empty, nor without weight."""
    if policy.algorithm is Algorithm.RANDOM:
        return RandomPicker(states)
    if policy.algorithm is Algorithm.LEAST_REQUEST and _equal(states, weigh):
        return LeastPicker(states, policy.choice_count)
    if policy.algorithm is Algorithm.LEAST_REQUEST:
        bias = policy.active_request_bias
        return TurnPicker(states, lambda state: weigh(state) / (state.load + 1) ** bias, waited)
    if policy.algorithm is Algorithm.ROUND_ROBIN:
        return TurnPicker(states, weigh, waited)
    weighted = [(state.host.hash_key, weigh(state)) for state in states]
    if policy.algorithm is Algorithm.MAGLEV:
        return HashPicker(states, Maglev(weighted, size=policy.table_size))
    ring = Ring(weighted, minimum_size=policy.minimum_ring_size, maximum_size=policy.maximum_ring_size)
    return HashPicker(states, ring)


def is_by_hash(policy: ClusterPolicy) -> bool:
    """Whether the hash of a request decides."""
    return policy.algorithm in (Algorithm.RING_HASH, Algorithm.MAGLEV)


def _equal(states: Sequence[HostState], weigh: Weigh) -> bool:
    return len({weigh(state) for state in states}) == 1


def _load(state: HostState) -> int:
    return state.load
