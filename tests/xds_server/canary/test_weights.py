"""Weights of a route with a canary: its percent to the canary, the rest to the others as they share it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.objects import ObjectName, WeightedBackend
from mesh.routes import Match, Mirror, PathMatch, PathMatchType, Route, Rule
from xds_server.canary.weights import sampled, weighted

ANY = (Match(path=PathMatch(type=PathMatchType.PATH_PREFIX, value="/")),)
# What Envoy takes as the sum of a route's weights.
MAX_TOTAL = 2**32 - 1


def _name(name: str) -> ObjectName:
    return ObjectName("default", name)


def _rule(*weights: tuple[str, int], name: str = "all") -> Rule:
    backends = tuple(WeightedBackend(backend=_name(backend), weight=weight) for backend, weight in weights)
    return Rule(name=name, matches=ANY, backends=backends)


def _route(*rules: Rule) -> Route:
    return Route(name=_name("lobby"), rules=rules)


def _weights(route: Route) -> list[int]:
    return [each.weight for each in route.rules[0].backends]


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, [1, 0]), (5, [19, 1]), (50, [1, 1]), (100, [0, 1]), (33, [67, 33])]
)
def test_a_canary_gets_its_percent(percent: int, expected: list[int]) -> None:
    assert _weights(weighted(_route(_rule(("old", 7), ("new", 3))), _name("new"), percent)) == expected


def test_the_others_share_the_rest_as_before() -> None:
    route = _route(_rule(("a", 3), ("new", 0), ("b", 1)))
    assert _weights(weighted(route, _name("new"), 20)) == [3, 1, 1]


def test_a_canary_that_a_rule_names_twice_has_its_percent_once() -> None:
    route = _route(_rule(("old", 1), ("new", 1), ("new", 1)))
    assert _weights(weighted(route, _name("new"), 50)) == [1, 1, 0]


def test_rules_without_the_canary_or_with_nothing_else_stay() -> None:
    route = _route(_rule(("old", 1)), _rule(("new", 1), name="alone"))
    assert weighted(route, _name("new"), 50) == route
    assert sampled(route, _name("new"), 50) == route


def test_sessions_are_sampled_where_the_canary_has_a_share_unless_the_rule_mirrors_them_already() -> None:
    mirror = Mirror(backend=_name("new"), part=Fraction(1))
    mirrored = Rule(name="mine", matches=ANY, backends=_rule(("old", 1), ("new", 1)).backends, mirrors=(mirror,))
    found = sampled(_route(_rule(("old", 1), ("new", 1)), mirrored), _name("new"), 10)
    assert [rule.mirrors for rule in found.rules] == [
        (Mirror(backend=_name("new"), part=Fraction(1, 10)),),
        (mirror,),
    ]


@given(
    st.lists(st.integers(0, 1_000_000), min_size=1, max_size=15).filter(any),
    st.integers(0, 1_000_000),
    st.integers(0, 100),
)
def test_shares_are_exact_and_small_enough_for_envoy(others: list[int], own: int, percent: int) -> None:
    route = _route(_rule(*((f"b{number}", weight) for number, weight in enumerate(others)), ("new", own)))
    weights = _weights(weighted(route, _name("new"), percent))
    assert 0 < sum(weights) <= MAX_TOTAL
    shares = [Fraction(weight, sum(weights)) for weight in weights]
    assert shares[-1] == Fraction(percent, 100)
    rest = 1 - shares[-1]
    assert shares[:-1] == [rest * Fraction(weight, sum(others)) for weight in others]
