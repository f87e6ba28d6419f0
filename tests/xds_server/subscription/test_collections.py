"""`xdstp://` names, glob collections, and virtual hosts that are asked for by alias."""

from __future__ import annotations

from typing import Any

import pytest

from xds_server.resource_types import LISTENER, ROUTE, VIRTUAL_HOST
from xds_server.resources import Resource

ALL = "xdstp://a/envoy.config.listener.v3.Listener/x/*"
ONE, TWO, OTHER = (f"xdstp://a/envoy.config.listener.v3.Listener/{path}" for path in ("x/1", "x/2", "y/1"))


def listener(name: str, content: str = "1") -> Resource:
    return Resource(LISTENER.type_url, name, content, b"")


def host(name: str, *aliases: str, content: str = "1") -> Resource:
    return Resource(VIRTUAL_HOST.type_url, name, content, b"", aliases=aliases)


def names(response: Any) -> list[str]:
    return [entry.name for entry in response.resources]


def test_a_collection_is_all_its_members_as_they_come_and_go(delta: Any) -> None:
    delta.put(listener(ONE), listener(OTHER), listener("plain"))
    (response,) = delta.ask(LISTENER, ALL)
    assert names(response) == [ONE]
    assert delta.ack(LISTENER, response) == []
    delta.put(listener(TWO))
    (response,) = delta.read()
    assert names(response) == [TWO]
    delta.ack(LISTENER, response)
    delta.remove(LISTENER, ONE)
    (response,) = delta.read()
    assert list(response.removed_resources) == [ONE]
    delta.ack(LISTENER, response, drop=[ALL])
    delta.put(listener(TWO, "2"))
    assert delta.read() == []
    assert delta.status(LISTENER) == {}


def test_an_empty_collection_is_answered_and_remembered(delta: Any) -> None:
    (response,) = delta.ask(LISTENER, ALL)
    assert list(response.removed_resources) == [ALL]
    delta.ack(LISTENER, response)
    delta.put(listener(ONE))
    (response,) = delta.read()
    assert names(response) == [ONE]


def test_the_parameters_of_a_name_may_stand_in_any_order(delta: Any) -> None:
    delta.put(Resource(LISTENER.type_url, f"{ONE}?a=1&b=2", "1", b""))
    (response,) = delta.ask(LISTENER, f"{ALL}?b=2&a=1")
    assert names(response) == [f"{ONE}?a=1&b=2"]


def test_a_collection_in_the_state_of_the_world_is_whole(sotw: Any) -> None:
    sotw.put(listener(ONE), listener(TWO), listener(OTHER))
    (response,) = sotw.ask(LISTENER, ALL)
    assert len(response.resources) == 2
    sotw.ack(LISTENER, response, ALL)
    sotw.remove(LISTENER, ONE)
    (response,) = sotw.read()
    assert len(response.resources) == 1


def test_a_member_that_vanished_while_the_client_was_away_is_removed(cache: Any, delta_stream: Any) -> None:
    """Clients do not state what they have of a collection."""
    before = delta_stream(cache)
    before.put(listener(ONE), listener(TWO))
    (response,) = before.ask(LISTENER, ALL)
    before.ack(LISTENER, response)
    doubts = before.core.doubts()
    before.core.close()
    cache.update(remove=[(LISTENER.type_url, ONE)])
    after = delta_stream(cache, doubts=doubts)
    (response,) = after.ask(LISTENER, ALL)
    assert names(response) == [TWO]
    assert list(response.removed_resources) == [ONE]


def test_aliases_count_as_names(delta: Any) -> None:
    delta.put(host("r/v", "r/a", "r/b"))
    assert delta.ask(VIRTUAL_HOST) == []
    (response,) = delta.ask(VIRTUAL_HOST, "r/a", "r/b")
    (entry,) = response.resources
    assert (entry.name, list(entry.aliases)) == ("r/v", ["r/a", "r/b"])
    assert delta.ack(VIRTUAL_HOST, response) == []
    delta.put(host("r/v", "r/a", content="2"))
    (response,) = delta.read()
    changed, without = response.resources
    assert (changed.name, changed.version, list(changed.aliases)) == ("r/v", "2", ["r/a"])
    assert (without.name, list(without.aliases), without.HasField("resource")) == ("r/b", ["r/b"], False)


def test_an_alias_that_leads_nowhere_is_answered_without_a_resource(delta: Any) -> None:
    delta.ask(VIRTUAL_HOST)
    (response,) = delta.ask(VIRTUAL_HOST, "r/none")
    (entry,) = response.resources
    assert (entry.name, list(entry.aliases), entry.HasField("resource")) == ("r/none", ["r/none"], False)
    assert delta.ack(VIRTUAL_HOST, response) == []
    delta.put(host("r/v", "r/none"))
    (response,) = delta.read()
    assert names(response) == ["r/v"]


def test_a_virtual_host_is_removed_under_its_own_name(delta: Any) -> None:
    delta.put(host("r/v", "r/a"))
    delta.ask(VIRTUAL_HOST)
    (response,) = delta.ask(VIRTUAL_HOST, "r/a")
    delta.ack(VIRTUAL_HOST, response)
    delta.remove(VIRTUAL_HOST, "r/v")
    (response,) = delta.read()
    assert (names(response), list(response.removed_resources)) == ([], ["r/v"])


def test_virtual_hosts_that_the_client_states_are_not_sent_again(delta: Any) -> None:
    delta.put(host("r/v", "r/a"), host("r/w", "r/b"))
    (response,) = delta.ask(VIRTUAL_HOST, "*", "r/a", "r/b", has={"r/v": "1", "r/gone": "1"})
    assert names(response) == ["r/w"]
    assert list(response.removed_resources) == ["r/gone"]


@pytest.mark.parametrize("routes_first", [True, False])
def test_a_route_configuration_with_virtual_hosts_on_demand_is_answered_for_them(
    delta: Any, routes_first: bool
) -> None:
    """Envoy holds its listener back until it hears of any virtual host of the route configuration."""
    routes = Resource(ROUTE.type_url, "r", "1", b"", references=((VIRTUAL_HOST.type_url, "r/"),))
    if routes_first:
        delta.put(routes)
        (response,) = delta.ask(ROUTE, "r")
        delta.ack(ROUTE, response)
        (answer,) = delta.ask(VIRTUAL_HOST)
    else:
        delta.ask(VIRTUAL_HOST)
        delta.put(routes)
        _response, answer = delta.ask(ROUTE, "r")
    assert list(answer.removed_resources) == ["r/"]


def test_a_virtual_host_whose_aliases_lead_to_another_one_is_removed_once(delta: Any) -> None:
    delta.put(host("r/v", "r/a", "r/b"))
    delta.ask(VIRTUAL_HOST)
    (response,) = delta.ask(VIRTUAL_HOST, "r/a", "r/b")
    delta.ack(VIRTUAL_HOST, response)
    delta.cache.update(upsert=[host("r/w", "r/a", "r/b")], remove=[(VIRTUAL_HOST.type_url, "r/v")])
    (response,) = delta.read()
    assert (names(response), list(response.removed_resources)) == (["r/w"], ["r/v"])
    delta.ack(VIRTUAL_HOST, response)
    delta.remove(VIRTUAL_HOST, "r/w")
    (response,) = delta.read()
    assert (names(response), list(response.removed_resources)) == ([], ["r/w"])


def test_a_collection_that_filled_before_it_was_answered_is_only_its_members(delta: Any) -> None:
    delta.put(listener("plain"))
    (response,) = delta.ask(LISTENER, "plain")
    assert delta.ask(LISTENER, ALL) == []
    delta.put(listener(ONE))
    (response,) = delta.ack(LISTENER, response)
    assert (names(response), list(response.removed_resources)) == ([ONE], [])


def test_a_member_that_vanished_is_forgotten_with_its_collection(delta: Any) -> None:
    delta.put(listener(ONE))
    (response,) = delta.ask(LISTENER, ALL)
    delta.remove(LISTENER, ONE)
    delta.ack(LISTENER, response, drop=[ALL])
    assert delta.status(LISTENER) == {}


def test_a_name_that_is_stated_with_its_parameters_in_another_order_is_the_same(delta: Any) -> None:
    delta.put(Resource(LISTENER.type_url, f"{ONE}?a=1&b=2", "1", b""))
    assert delta.ask(LISTENER, f"{ONE}?b=2&a=1", has={f"{ONE}?b=2&a=1": "1"}) == []


def test_a_virtual_host_that_lost_the_alias_by_which_it_was_asked_for_is_removed(delta: Any) -> None:
    """It has the domain of another one now, and nobody would ever say so of the copy that the client has."""
    delta.put(host("r/v", "r/a", "r/b"))
    delta.ask(VIRTUAL_HOST)
    (response,) = delta.ask(VIRTUAL_HOST, "r/a")
    delta.ack(VIRTUAL_HOST, response)
    delta.put(host("r/v", "r/b", content="2"), host("r/w", "r/a"))
    (response,) = delta.read()
    assert (names(response), list(response.removed_resources)) == (["r/w"], ["r/v"])
