"""State-of-the-world xDS, one test per rule of the protocol."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from xds_server.cache import ResourceCache
from xds_server.resource_types import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET
from xds_server.resources import Resource
from xds_server.subscription import SyncState

FULL_STATE = [LISTENER, CLUSTER]
PARTIAL = [ENDPOINT, ROUTE]
MESSAGES = {
    CLUSTER.type_url: cluster_pb2.Cluster,
    ENDPOINT.type_url: endpoint_pb2.ClusterLoadAssignment,
    LISTENER.type_url: listener_pb2.Listener,
    ROUTE.type_url: route_pb2.RouteConfiguration,
    SECRET.type_url: secret_pb2.Secret,
}


def names(response: Any) -> list[str]:
    messages = [MESSAGES[entry.type_url].FromString(entry.value) for entry in response.resources]
    return [getattr(m, "name", "") or m.cluster_name for m in messages]


@pytest.mark.parametrize("kind", FULL_STATE)
def test_a_change_carries_the_full_state(sotw: Any, resource: Any, kind: Any) -> None:
    sotw.put(resource(kind, "a"), resource(kind, "b"))
    (response,) = sotw.ask(kind)
    assert names(response) == ["a", "b"]
    assert sotw.ack(kind, response) == []
    sotw.put(resource(kind, "a", 1))
    (response,) = sotw.read()
    assert sorted(names(response)) == ["a", "b"]


@pytest.mark.parametrize("kind", FULL_STATE)
def test_removing_the_last_one_sends_an_empty_state(sotw: Any, resource: Any, kind: Any) -> None:
    sotw.put(resource(kind, "a"))
    sotw.ack(kind, sotw.ask(kind)[0])
    sotw.remove(kind, "a")
    (response,) = sotw.read()
    assert names(response) == []
    sotw.ack(kind, response)
    assert sotw.acknowledged[kind.type_url, "a"] is None


@pytest.mark.parametrize("kind", FULL_STATE)
def test_an_empty_state_is_answered_so_the_client_need_not_wait(sotw: Any, kind: Any) -> None:
    (response,) = sotw.ask(kind)
    assert names(response) == []


@pytest.mark.parametrize("kind", PARTIAL)
def test_other_types_carry_only_what_changed(sotw: Any, resource: Any, kind: Any) -> None:
    sotw.put(resource(kind, "a"), resource(kind, "b"))
    sotw.ack(kind, sotw.ask(kind, "a", "b")[0], "a", "b")
    sotw.put(resource(kind, "a", 1))
    (response,) = sotw.read()
    assert names(response) == ["a"]


@pytest.mark.parametrize("kind", PARTIAL)
def test_a_missing_name_of_other_types_is_answered_with_nothing_in_it(sotw: Any, resource: Any, kind: Any) -> None:
    """Envoy would wait 15 s for it, and for as long take nothing of what points at it."""
    (empty,) = sotw.ask(kind, "a")
    assert [entry.value for entry in empty.resources] == [b"\n\x01a"]
    assert sotw.ack(kind, empty, "a") == []
    sotw.put(resource(kind, "a"))
    (response,) = sotw.read()
    assert names(response) == ["a"]


def test_a_missing_name_of_which_nothing_can_be_said_is_remembered(sotw: Any, resource: Any) -> None:
    secret = secret_pb2.Secret(name="a")
    assert sotw.ask(SECRET, "a") == []
    sotw.put(Resource.of(secret))
    (response,) = sotw.read()
    assert names(response) == ["a"]


@pytest.mark.parametrize("kind", PARTIAL)
def test_a_removed_resource_of_other_types_is_not_mentioned(sotw: Any, resource: Any, kind: Any) -> None:
    sotw.put(resource(kind, "a"))
    sotw.ack(kind, sotw.ask(kind, "a")[0], "a")
    sotw.remove(kind, "a")
    assert sotw.read() == []


def test_endpoints_follow_a_cluster_that_a_full_state_takes_back(sotw: Any, resource: Any) -> None:
    """Envoy applied the good part of the refused state, so the old content is new to it."""
    for name in "ab":
        sotw.put(resource(CLUSTER, name, eds=True), resource(ENDPOINT, name))
    (clusters,) = sotw.ask(CLUSTER)
    (endpoints,) = sotw.ask(ENDPOINT, "a", "b")
    sotw.ack(CLUSTER, clusters)
    sotw.ack(ENDPOINT, endpoints, "a", "b")
    sotw.put(
        resource(CLUSTER, "a", 1, eds=True),
        resource(CLUSTER, "b", 1, eds=True),
        resource(CLUSTER, "c", eds=True),
        resource(ENDPOINT, "c"),
    )
    clusters, endpoints = sotw.read()
    assert sotw.ack(ENDPOINT, endpoints, "a", "b") == []
    sotw.put(resource(CLUSTER, "a", 2, eds=True))
    _before, endpoints = sotw.nack(CLUSTER, clusters, "b: no")
    assert names(endpoints) == ["a", "b"]


def test_a_request_with_a_stale_nonce_is_ignored(sotw: Any, resource: Any) -> None:
    sotw.put(resource(ENDPOINT, "a"), resource(ENDPOINT, "b"))
    (first,) = sotw.ask(ENDPOINT, "a")
    assert sotw.ask(ENDPOINT, "b") == []
    assert sotw.status(ENDPOINT)["a"].state is SyncState.SENT
    assert sotw.ack(ENDPOINT, first, "a") == []
    assert "b" not in sotw.status(ENDPOINT)


def test_the_latest_request_replaces_earlier_ones(sotw: Any, resource: Any) -> None:
    sotw.put(*(resource(ENDPOINT, name) for name in "abc"))
    (first,) = sotw.ask(ENDPOINT, "a", "b")
    (second,) = sotw.ack(ENDPOINT, first, "b", "c")
    assert names(second) == ["c"]
    sotw.ack(ENDPOINT, second, "b", "c")
    sotw.put(resource(ENDPOINT, "a", 1))
    assert sotw.read() == []


def test_unsubscribing_and_subscribing_again_sends_again(sotw: Any, resource: Any) -> None:
    sotw.put(resource(ENDPOINT, "a"), resource(ENDPOINT, "b"))
    (first,) = sotw.ask(ENDPOINT, "a", "b")
    assert sotw.ack(ENDPOINT, first, "b") == []
    (second,) = sotw.ack(ENDPOINT, first, "a", "b")
    assert names(second) == ["a"]


def test_once_named_an_empty_request_means_unsubscribed(sotw: Any, resource: Any) -> None:
    sotw.put(resource(CLUSTER, "a"), resource(CLUSTER, "b"))
    (first,) = sotw.ask(CLUSTER, "a")
    assert sotw.ack(CLUSTER, first) == []
    sotw.put(resource(CLUSTER, "a", 1))
    assert sotw.read() == []


def test_star_and_a_then_only_a_drops_the_wildcard(sotw: Any, resource: Any) -> None:
    sotw.put(resource(CLUSTER, "a"), resource(CLUSTER, "b"))
    (first,) = sotw.ask(CLUSTER, "*", "a")
    assert names(first) == ["a", "b"]
    sotw.ack(CLUSTER, first, "a")
    sotw.put(resource(CLUSTER, "b", 1))
    assert sotw.read() == []
    sotw.put(resource(CLUSTER, "a", 1))
    (response,) = sotw.read()
    assert names(response) == ["a"]


@pytest.mark.parametrize("kind", FULL_STATE)
def test_a_reconnect_with_the_same_wildcard_and_content_is_sent_nothing(
    cache: ResourceCache, sotw_stream: Any, resource: Any, kind: Any
) -> None:
    cache.update(upsert=[resource(kind, "a"), resource(kind, "b")])
    first = sotw_stream(cache, "1")
    (response,) = first.ask(kind)
    first.ack(kind, response)
    changed = resource(kind, "a", 1)
    cache.update(upsert=[changed])
    (response,) = first.read()
    second = sotw_stream(cache, "2")
    assert second.ask(kind, version=response.version_info) == []
    assert second.acknowledged[kind.type_url, "a"] == changed.version
    assert second.core.proxy.had_state


@pytest.mark.parametrize("kind", FULL_STATE)
def test_a_reconnect_after_a_change_is_answered(
    cache: ResourceCache, sotw_stream: Any, resource: Any, kind: Any
) -> None:
    cache.update(upsert=[resource(kind, "a"), resource(kind, "b")])
    (response,) = sotw_stream(cache, "1").ask(kind)
    cache.update(remove=[(kind.type_url, "b")])
    (answer,) = sotw_stream(cache, "2").ask(kind, version=response.version_info)
    assert names(answer) == ["a"]


@pytest.mark.parametrize("kind", FULL_STATE + PARTIAL)
@pytest.mark.parametrize("asked", [("a",), ("a", "b")])
def test_a_reconnect_by_name_is_answered_as_the_client_may_have_let_go_meanwhile(
    cache: ResourceCache, sotw_stream: Any, resource: Any, kind: Any, asked: tuple[str, ...]
) -> None:
    cache.update(upsert=[resource(kind, "a"), resource(kind, "b")])
    (response,) = sotw_stream(cache, "1").ask(kind, "a")
    (answer,) = sotw_stream(cache, "2").ask(kind, *asked, version=response.version_info)
    assert names(answer) == list(asked)


def test_another_server_with_equal_content_gives_equal_versions(sotw_stream: Any, resource: Any) -> None:
    here, there = ResourceCache(), ResourceCache()
    here.update(upsert=[resource(CLUSTER, "a"), resource(CLUSTER, "b")])
    there.update(upsert=[resource(CLUSTER, "b")])
    there.update(upsert=[resource(CLUSTER, "a")])
    (response,) = sotw_stream(here).ask(CLUSTER)
    assert sotw_stream(there).ask(CLUSTER, version=response.version_info) == []


@pytest.mark.parametrize("kind", FULL_STATE)
def test_after_a_refusal_the_state_goes_on_with_the_last_good_content(sotw: Any, resource: Any, kind: Any) -> None:
    old, bad = resource(kind, "a"), resource(kind, "a", 1)
    sotw.put(old)
    (first,) = sotw.ask(kind)
    sotw.ack(kind, first)
    sotw.put(bad, resource(kind, "b"))
    (mixed,) = sotw.read()
    (again,) = sotw.nack(kind, mixed, "a: no", version=first.version_info)
    bodies = [entry.value for entry in again.resources]
    assert old.body in bodies
    assert bad.body not in bodies
    assert sorted(names(again)) == ["a", "b"]
    assert sotw.ack(kind, again) == []
    assert sotw.rejected == [("a", "a: no")]
    assert sotw.status(kind)["a"].state is SyncState.REJECTED


def test_a_nack_is_error_detail_whatever_the_version_says(sotw: Any, resource: Any) -> None:
    sotw.put(resource(ENDPOINT, "a"))
    (first,) = sotw.ask(ENDPOINT, "a")
    sotw.ask(ENDPOINT, "a", nonce=first.nonce, version="another")
    assert sotw.status(ENDPOINT)["a"].state is SyncState.SYNCED
    sotw.put(resource(ENDPOINT, "a", 1))
    (second,) = sotw.read()
    sotw.nack(ENDPOINT, second, "", "a", version=second.version_info)
    assert sotw.status(ENDPOINT)["a"].state is SyncState.REJECTED


def test_while_the_cache_is_held_nothing_is_answered(sotw_stream: Any, resource: Any) -> None:
    filled = ResourceCache()
    filled.update(upsert=[resource(CLUSTER, "a")])
    (known,) = sotw_stream(filled).ask(CLUSTER)
    cache = ResourceCache(held=True)
    same, other = sotw_stream(cache, "1"), sotw_stream(cache, "2")
    assert same.ask(CLUSTER, version=known.version_info) == other.ask(CLUSTER) == []
    cache.update(upsert=[resource(CLUSTER, "a")])
    assert same.read() == other.read() == []
    cache.release()
    assert same.read() == []
    assert [names(response) for response in other.read()] == [["a"]]


@pytest.mark.parametrize("kind", FULL_STATE)
def test_what_a_client_had_before_it_refused_the_first_state_is_removed_when_it_goes(
    sotw: Any, resource: Any, kind: Any
) -> None:
    sotw.put(resource(kind, "a", 1))
    (response,) = sotw.ask(kind, version="it-has-an-older-one")
    assert sotw.nack(kind, response, "no") == []
    sotw.remove(kind, "a")
    (response,) = sotw.read()
    assert names(response) == []
