"""A mirror of a route becomes Envoy's, and its backend a cluster of the RTSP proxies."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from google.protobuf import json_format

from mesh.model import (
    Backend,
    Endpoint,
    Match,
    MeshError,
    Mirror,
    ObjectName,
    PathMatch,
    PathMatchType,
    Route,
    Rule,
    Slice,
    WeightedBackend,
    merge,
)
from xds_server.compile.routes import compile_routes

NEW, OLD, ROUTE = ObjectName("default", "new"), ObjectName("default", "old"), ObjectName("default", "r")


def _slice(*mirrors: Mirror, backends: tuple[ObjectName, ...] = (OLD, NEW)) -> Slice:
    rule = Rule(
        name="rule",
        matches=(Match(path=PathMatch(type=PathMatchType.PATH_PREFIX, value="/")),),
        backends=(WeightedBackend(backend=OLD),),
        mirrors=mirrors,
    )
    endpoint = Endpoint(name="one", address="192.0.2.1", port=554)
    made = {name: Backend(name=name, endpoints=(endpoint,)) for name in backends}
    return Slice(source="test", routes={ROUTE: Route(name=ROUTE, rules=(rule,))}, backends=made)


def _compiled(*mirrors: Mirror) -> tuple[list[dict[str, Any]], list[str]]:
    """The mirror policies, and the names of the clusters."""
    messages = compile_routes(merge([_slice(*mirrors)]))
    clusters = sorted(each.name for each in messages if each.DESCRIPTOR.name == "Cluster")
    (configuration,) = (each for each in messages if each.DESCRIPTOR.name == "RouteConfiguration")
    action = configuration.virtual_hosts[0].routes[0].route
    policies = json_format.MessageToDict(action, preserving_proto_field_name=True).get("request_mirror_policies", [])
    return policies, clusters


def test_a_mirror_of_all_has_no_fraction_and_a_cluster() -> None:
    assert _compiled(Mirror(backend=NEW)) == ([{"cluster": "default/new"}], ["default/new", "default/old"])


@pytest.mark.parametrize(
    ("part", "millionths"), [(Fraction(1, 20), 50_000), (Fraction(1, 3), 333_333), (Fraction(2, 3), 666_667)]
)
def test_a_part_is_said_in_millionths(part: Fraction, millionths: int) -> None:
    ((policy,), _) = _compiled(Mirror(backend=NEW, part=part))
    assert policy["runtime_fraction"] == {"default_value": {"numerator": millionths, "denominator": "MILLION"}}


def test_a_backend_that_no_route_names_is_no_cluster() -> None:
    assert _compiled() == ([], ["default/old"])


def test_a_mirror_of_a_backend_that_there_is_not_makes_no_mesh() -> None:
    with pytest.raises(MeshError, match="route default/r, rule rule: no backend default/new"):
        merge([_slice(Mirror(backend=NEW), backends=(OLD,))])
