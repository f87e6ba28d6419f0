"""Turns by weight: who is next, so that at any time everybody has had its share.

Each member has deadlines, a period of 1 / weight apart, and the earliest is next (earliest deadline first, as in
Envoy's scheduler). The first deadline is after half a period, so that shares are rounded, not cut off: of 1,000 turns
at 95 to 5, 950 and 50 are given, give or take one. Random numbers could not promise that: the 50 would be 50 ± 14.

Weights may change between turns; a new one counts from the member's next turn on.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

Member = TypeVar("Member", bound=Hashable)

_HALF = 0.5


class Turns(Generic[Member]):
    """Members and their turns. `next` costs O(log n)."""

    def __init__(
        self,
        members: Iterable[Member],
        weight: Callable[[Member], float],
        waited: Mapping[Member, float] | None = None,
    ) -> None:
        """`weight` is asked at each turn; members whose weight is 0 at the start never have one.

        `waited` is what `remaining` of a predecessor gave: nobody is served twice because of a change.
        """
        self._weight = weight
        self._clock = 0.0
        waited = waited or {}
        self._queue = [
            (waited.get(member, _HALF) / weight(member), order, member)
            for order, member in enumerate(members)
            if weight(member) > 0
        ]
        heapify(self._queue)
        self._order = len(self._queue)

    def __bool__(self) -> bool:
        return bool(self._queue)

    def next(self) -> Member:
        """Whose turn it is. Raises IndexError where nobody has a weight."""
        deadline, _, member = heappop(self._queue)
        self._clock = deadline
        self._order += 1
        heappush(self._queue, (deadline + 1 / self._weight(member), self._order, member))
        return member

    def remaining(self) -> dict[Member, float]:
        """How long each has still to wait, in its own periods: 0 to 1."""
        return {
            member: min(1.0, (deadline - self._clock) * self._weight(member)) for deadline, _, member in self._queue
        }
