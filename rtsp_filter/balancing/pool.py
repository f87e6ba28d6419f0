"""Endpoints that stand in for each other, as they are at one moment: first a priority, then a locality, then one.

A pool is made anew when one of its endpoints becomes usable or ceases to be. What its turns had promised goes on:
`waited` of the old one is for the new one.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from rtsp_filter.balancing.hosts import Health, HostState
from rtsp_filter.balancing.pickers import Chance, Picker, Weigh, is_by_hash, make_picker
from rtsp_filter.balancing.priorities import Census, Share, Tier, shares
from rtsp_filter.balancing.settings import ClusterPolicy
from rtsp_filter.balancing.turns import Turns

Locality = tuple[str, str, str]
Waited = Mapping[Hashable, float]


class Pool:
    """Answers `pick`: O(log n) for turns and rings, O(1) for the others. Tables are made when they are first needed."""

    def __init__(
        self,
        states: Sequence[HostState],
        policy: ClusterPolicy,
        overprovisioning: int,
        weigh: Weigh,
        waited: Waited | None = None,
    ) -> None:
        self._policy = policy
        self._overprovisioning = overprovisioning
        self._weigh = weigh
        self._waited: Waited = waited or {}
        self._priorities = [
            [state for state in states if state.host.priority == priority]
            for priority in range(1 + max((state.host.priority for state in states), default=-1))
        ]
        census = [_census(members) for members in self._priorities]
        self._shares = shares(census, overprovisioning=overprovisioning, panic_percent=policy.panic_percent)
        self._levels: dict[Share, _Level | None] = {}
        self._turns = Turns(self._shares, _percent, self._waited_of(self._shares))

    def pick(self, key_hash: int | None, chance: Chance) -> HostState | None:
        """The endpoint for a request with this hash, if it has one; None where there is none to be used."""
        if not self._shares:
            return None
        share = self._share(key_hash, chance)
        if share not in self._levels:
            self._levels[share] = self._level(share)
        level = self._levels[share]
        return None if level is None else level.pick(key_hash, chance)

    def waited(self) -> dict[Hashable, float]:
        """For the turns of a successor."""
        result: dict[Hashable, float] = {_key(share): left for share, left in self._turns.remaining().items()}
        for level in self._levels.values():
            if level is not None:
                result.update(level.waited())
        return result

    def _share(self, key_hash: int | None, chance: Chance) -> Share:
        if len(self._shares) == 1:
            return self._shares[0]
        if not is_by_hash(self._policy):
            return self._turns.next()
        point = chance() * 100 if key_hash is None else key_hash % 100
        for share in self._shares:
            point -= share.percent
            if point < 0:
                break
        return share

    def _level(self, share: Share) -> _Level | None:
        """What picks within a share; None where nothing in it has a weight."""
        members = self._priorities[share.priority]
        chosen = [state for state in members if _is_in(state, share.tier)]
        weights = None
        if self._policy.locality_weighted and share.tier is not Tier.ALL:
            weights = _locality_weights(members, chosen, self._overprovisioning)
            chosen = [state for state in chosen if weights[state.host.locality]]
        return _Level(self, chosen, weights) if chosen else None

    def _waited_of(self, chosen: Sequence[Share]) -> dict[Share, float]:
        return {share: self._waited[_key(share)] for share in chosen if _key(share) in self._waited}

    def make(self, states: Sequence[HostState], weigh: Weigh | None = None) -> Picker:
        """A picker of these endpoints."""
        known = {state.host.key: self._waited[state.host.key] for state in states if state.host.key in self._waited}
        return make_picker(self._policy, states, weigh or self._weigh, known)

    @property
    def by_hash(self) -> bool:
        """Whether the hash of a request decides."""
        return is_by_hash(self._policy)

    def waited_locality(self, localities: Sequence[Locality]) -> dict[Locality, float]:
        """What the turns of these localities had promised."""
        return {locality: self._waited[locality] for locality in localities if locality in self._waited}


class _Level:
    """Endpoints of one priority that are equally good: by locality where localities have weights."""

    def __init__(self, pool: Pool, states: Sequence[HostState], weights: Mapping[Locality, float] | None) -> None:
        self._turns: Turns[Locality] | None = None
        if weights is None:
            self._pickers: dict[Locality | None, Picker] = {None: pool.make(states)}
        elif pool.by_hash:
            self._pickers = {None: pool.make(states, _within(states, weights))}
        else:
            by_locality = _by_locality(states)
            self._pickers = {locality: pool.make(members) for locality, members in by_locality.items()}
            known = pool.waited_locality(list(by_locality))
            self._turns = Turns(by_locality, lambda locality: weights[locality], known)

    def pick(self, key_hash: int | None, chance: Chance) -> HostState:
        """One of them."""
        return self._pickers[None if self._turns is None else self._turns.next()].pick(key_hash, chance)

    def waited(self) -> dict[Hashable, float]:
        """For the turns of a successor."""
        result: dict[Hashable, float] = {}
        if self._turns is not None:
            result.update(_loose(self._turns.remaining()))
        for picker in self._pickers.values():
            result.update(_loose(picker.waited()))
        return result


def _within(states: Sequence[HostState], weights: Mapping[Locality, float]) -> Weigh:
    """A host's part of its locality's weight."""
    totals = {
        locality: sum(state.host.weight for state in members) for locality, members in _by_locality(states).items()
    }

    def weigh(state: HostState) -> float:
        locality = state.host.locality
        return weights[locality] * state.host.weight / totals[locality]

    return weigh


def _locality_weights(
    members: Sequence[HostState], chosen: Sequence[HostState], overprovisioning: int
) -> dict[Locality, float]:
    """Localities lose weight when they have too few usable endpoints (Envoy, locality weighted load balancing)."""
    totals, usable = _by_locality(members), _by_locality(chosen)
    return {
        locality: states[0].host.locality_weight
        * min(100.0, overprovisioning * len(usable.get(locality, ())) / len(states))
        for locality, states in totals.items()
    }


def _by_locality(states: Sequence[HostState]) -> dict[Locality, list[HostState]]:
    result: dict[Locality, list[HostState]] = {}
    for state in states:
        result.setdefault(state.host.locality, []).append(state)
    return result


def _census(states: Sequence[HostState]) -> Census:
    return Census(
        healthy=sum(_is_in(state, Tier.HEALTHY) for state in states),
        degraded=sum(_is_in(state, Tier.DEGRADED) for state in states),
        total=len(states),
    )


def _is_in(state: HostState, tier: Tier) -> bool:
    if tier is Tier.ALL:
        return True
    return state.usable and (state.host.health is Health.HEALTHY) is (tier is Tier.HEALTHY)


def _percent(share: Share) -> float:
    return share.percent


def _loose(waited: Mapping[Any, float]) -> Mapping[Hashable, float]:
    """The same, for a dictionary of members of all kinds."""
    return waited


def _key(share: Share) -> Any:
    return share.priority, share.tier
