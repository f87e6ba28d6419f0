"""How much of the sessions each priority gets, and which ones panic.

A priority's availability is its percentage of usable endpoints times the overprovisioning factor, 100 at most. The
first priorities get what they can take, healthy endpoints before degraded ones; what is left when all together have
less than 100 is shared as they share the rest. Only then may a priority panic: with too few usable endpoints, all of
them are tried.

Envoy: architecture overview, load balancing: priority levels, degraded endpoints, panic threshold. Envoy rounds shares
to whole percents, this does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum


class Tier(Enum):
    """Which endpoints of a priority are meant."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    ALL = "all"
    """In panic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """How many endpoints a priority has, and how many of them are what."""

    healthy: int
    degraded: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A part of the sessions, in percent, for endpoints of a priority."""

    priority: int
    tier: Tier
    percent: float


def shares(priorities: Sequence[Census], *, overprovisioning: int, panic_percent: float) -> list[Share]:
    """The parts that are not 0, which add up to 100; empty where there is no endpoint at all, or none may be used."""
    healthy = [_availability(each.healthy, each.total, overprovisioning) for each in priorities]
    degraded = [_availability(each.degraded, each.total, overprovisioning) for each in priorities]
    available = min(100.0, sum(healthy) + sum(degraded))
    if not available:
        return _total_panic(priorities) if panic_percent else []
    levels = [(index, Tier.HEALTHY, level) for index, level in enumerate(healthy)]
    levels += [(index, Tier.DEGRADED, level) for index, level in enumerate(degraded)]
    left, result = 100.0, []
    for index, tier, level in levels:
        percent = min(left, level * 100 / available)
        left -= percent
        if percent:
            panics = available < 100 and _panics(priorities[index], panic_percent)
            result.append(Share(priority=index, tier=Tier.ALL if panics else tier, percent=percent))
    return result


def _availability(count: int, total: int, overprovisioning: int) -> float:
    return min(100.0, overprovisioning * count / total) if total else 0.0


def _panics(census: Census, panic_percent: float) -> bool:
    return 100 * (census.healthy + census.degraded) < panic_percent * census.total


def _total_panic(priorities: Iterable[Census]) -> list[Share]:
    """Nothing is usable anywhere: by the number of endpoints."""
    counts = [census.total for census in priorities]
    total = sum(counts)
    return [
        Share(priority=index, tier=Tier.ALL, percent=100 * count / total) for index, count in enumerate(counts) if count
    ]
