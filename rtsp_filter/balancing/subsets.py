"""Subsets: routes may want endpoints with certain labels (Envoy: architecture overview, load balancer subsets)."""

from __future__ import annotations

from rtsp_filter.balancing.hosts import Host
from rtsp_filter.balancing.settings import Fallback, Labels, Subsets


def choices(subsets: Subsets | None, labels: Labels) -> tuple[Labels | Fallback, ...]:
    """What to try, in this order, until there is an endpoint in it. `labels` are what the route wants."""
    if subsets is None:
        return (Fallback.ANY,)
    keys = frozenset(name for name, _ in labels)
    selector = next((each for each in subsets.selectors if each.keys == keys), None)
    if selector is None:
        return (subsets.fallback,)
    return labels, subsets.fallback if selector.fallback is None else selector.fallback


def is_in(host: Host, subsets: Subsets | None, choice: Labels | Fallback) -> bool:
    """Whether an endpoint belongs to a choice."""
    if not isinstance(choice, Fallback):
        return choice <= host.labels
    if choice is Fallback.DEFAULT and subsets is not None:
        return subsets.default <= host.labels
    return choice is Fallback.ANY
