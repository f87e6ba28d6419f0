"""Slices become one mesh, or an error that names the objects at fault."""

import pytest

from mesh.model import (
    Backend,
    Match,
    Mesh,
    MeshError,
    ObjectName,
    PathMatch,
    PathMatchType,
    Route,
    Rule,
    Slice,
    WeightedBackend,
    merge,
)

LOBBY = ObjectName("default", "lobby")


def _route(backend: ObjectName) -> Route:
    match = Match(path=PathMatch(type=PathMatchType.PATH_PREFIX, value="/"))
    rule = Rule(name="rule-0", matches=(match,), backends=(WeightedBackend(backend=backend),))
    return Route(name=LOBBY, rules=(rule,))


def test_no_slices_make_an_empty_mesh() -> None:
    assert merge([]) == Mesh()


def test_slices_complete_each_other() -> None:
    backend = Backend(name=LOBBY, endpoints=())
    mesh = merge([Slice(source="a", routes={LOBBY: _route(LOBBY)}), Slice(source="b", backends={LOBBY: backend})])
    assert mesh.routes[LOBBY] == _route(LOBBY)
    assert mesh.backends[LOBBY] is backend


def test_an_object_of_two_sources_is_refused() -> None:
    part = {LOBBY: Backend(name=LOBBY, endpoints=())}
    with pytest.raises(MeshError, match="backend default/lobby is defined by both a and b"):
        merge([Slice(source="a", backends=part), Slice(source="b", backends=part)])


def test_a_route_to_nothing_is_refused() -> None:
    with pytest.raises(MeshError, match=r"route default/lobby, rule rule-0: no backend default/lobby"):
        merge([Slice(source="a", routes={LOBBY: _route(LOBBY)})])
