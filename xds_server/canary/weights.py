"""A canary's percent → weights of a route's rules, as whole numbers that keep the others' proportions; and mirrors that
show what of its media is lost."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import gcd

from mesh.canaries import is_split
from mesh.objects import ObjectName, WeightedBackend
from mesh.routes import Mirror, Route, Rule


def weighted(route: Route, canary: ObjectName, percent: int) -> Route:
    """The route, with `percent` of the sessions for `canary` in each rule that has it besides others."""
    return replace(route, rules=tuple(_rule(rule, canary, percent) for rule in route.rules))


def sampled(route: Route, canary: ObjectName, percent: int) -> Route:
    """The route, with `percent` of the sessions of such rules mirrored at `canary`, unless a rule does so by itself."""
    mirror = Mirror(backend=canary, part=Fraction(percent, 100))
    rules = (
        replace(rule, mirrors=(*rule.mirrors, mirror))
        if is_split(rule, canary) and not any(each.backend == canary for each in rule.mirrors)
        else rule
        for rule in route.rules
    )
    return replace(route, rules=tuple(rules))


def _rule(rule: Rule, canary: ObjectName, percent: int) -> Rule:
    if not is_split(rule, canary):
        return rule
    others = sum(each.weight for each in rule.backends if each.backend != canary)
    # A rule may name the canary twice; the first one has it all.
    first = next(index for index, each in enumerate(rule.backends) if each.backend == canary)
    weights = [
        (percent * others if index == first else 0) if each.backend == canary else (100 - percent) * each.weight
        for index, each in enumerate(rule.backends)
    ]
    common = gcd(*weights)
    return replace(
        rule,
        backends=tuple(
            WeightedBackend(backend=each.backend, weight=weight // common)
            for each, weight in zip(rule.backends, weights, strict=True)
        ),
    )
