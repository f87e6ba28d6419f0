"""Several types on one stream: their order, their independence and their bounds."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.service.discovery.v3 import discovery_pb2

from xds_server.resource_types import CLUSTER, ENDPOINT, LISTENER, RESOURCE_TYPES, ROUTE, resource_type
from xds_server.resources import Failure, FailureCode, Resource
from xds_server.subscription import Fault, StreamError, SyncState, XdsProtocol, stream

ALL = [LISTENER, ROUTE, ENDPOINT, CLUSTER]
IN_ORDER = [kind.type_url for kind in (CLUSTER, ENDPOINT, LISTENER, ROUTE)]


@pytest.fixture(params=["delta", "sotw"])
def any_stream(request: pytest.FixtureRequest, delta: Any, sotw: Any) -> Any:
    return {"delta": delta, "sotw": sotw}[request.param]


def subscribe_all(client: Any, resource: Any, *names: str) -> None:
    """A client that holds these names of every type."""
    client.put(*(resource(kind, name, eds=True) for kind in ALL for name in names))
    for kind in ALL:
        responses = client.ask(kind, *names)
        while responses:
            response = responses.pop(0)
            responses += client.accept(resource_type(response.type_url), response, *names)


def types(responses: list[Any]) -> list[str]:
    return [response.type_url for response in responses]


def test_additions_go_out_in_the_order_of_what_they_point_at(any_stream: Any, resource: Any) -> None:
    subscribe_all(any_stream, resource, "a")
    any_stream.put(*(resource(kind, "a", 1, eds=True) for kind in ALL))
    clusters, endpoints = any_stream.read()
    listeners, routes = any_stream.accept(CLUSTER, clusters, "a")
    assert types([clusters, endpoints, listeners, routes]) == IN_ORDER


def test_listeners_wait_until_clusters_are_acknowledged_and_not_for_endpoints(any_stream: Any, resource: Any) -> None:
    """Envoy acknowledges clusters once they can be used; datagrams for one that cannot be used yet are lost."""
    subscribe_all(any_stream, resource, "a")
    any_stream.put(resource(LISTENER, "a", 1), resource(ENDPOINT, "a", 1))
    endpoints, listeners = any_stream.read()
    any_stream.accept(LISTENER, listeners, "a")
    any_stream.accept(ENDPOINT, endpoints, "a")
    any_stream.put(resource(CLUSTER, "a", 2, eds=True))
    clusters, *_ = any_stream.read()
    any_stream.put(resource(LISTENER, "a", 2))
    assert any_stream.read() == []
    (listeners,) = any_stream.accept(CLUSTER, clusters, "a")
    assert listeners.type_url == LISTENER.type_url


def test_listeners_and_routes_wait_until_every_cluster_has_been_sent(any_stream: Any, resource: Any) -> None:
    subscribe_all(any_stream, resource, "a")
    any_stream.put(resource(CLUSTER, "a", 1, eds=True))
    clusters, endpoints = any_stream.read()
    any_stream.accept(ENDPOINT, endpoints, "a")
    any_stream.put(resource(CLUSTER, "a", 2, eds=True), resource(LISTENER, "a", 2), resource(ROUTE, "a", 2))
    assert any_stream.read() == []
    clusters, endpoints = any_stream.accept(CLUSTER, clusters, "a")
    assert types([clusters, endpoints, *any_stream.accept(CLUSTER, clusters, "a")]) == IN_ORDER


def test_endpoints_do_not_wait_for_the_cluster_to_be_acknowledged(any_stream: Any, resource: Any) -> None:
    subscribe_all(any_stream, resource, "a")
    any_stream.put(resource(CLUSTER, "a", 1, eds=True))
    any_stream.read()
    any_stream.put(resource(CLUSTER, "a", 2, eds=True))
    any_stream.core.next_responses(0.0)
    assert any_stream.status(ENDPOINT)["a"].state.value == "sent"


def test_endpoints_follow_a_changed_cluster_even_if_unchanged(any_stream: Any, resource: Any) -> None:
    subscribe_all(any_stream, resource, "a", "b")
    any_stream.put(resource(CLUSTER, "a", 1, eds=True))
    clusters, endpoints = any_stream.read()
    assert types([clusters, endpoints]) == [CLUSTER.type_url, ENDPOINT.type_url]
    assert len(endpoints.resources) == 1


def test_endpoints_that_are_asked_for_after_a_changed_cluster_was_sent_are_sent_although_they_match(
    any_stream: Any, resource: Any
) -> None:
    """Envoy asks for clusters first when it reconnects; the changed one waits for its endpoints."""
    any_stream.put(resource(CLUSTER, "a", eds=True), resource(ENDPOINT, "a"))
    any_stream.ask(CLUSTER)
    incremental = any_stream.core.proxy.protocol is XdsProtocol.DELTA
    stated = {"has": {"a": resource(ENDPOINT, "a").version}} if incremental else {}
    (endpoints,) = any_stream.ask(ENDPOINT, "a", **stated)
    assert len(endpoints.resources) == 1


def test_endpoints_that_a_cluster_waited_for_when_the_stream_broke_are_sent_on_the_next(
    cache: Any, delta_stream: Any, resource: Any
) -> None:
    before = delta_stream(cache)
    subscribe_all(before, resource, "a")
    before.put(resource(CLUSTER, "a", 1, eds=True))
    clusters, _endpoints = before.read()
    before.ack(CLUSTER, clusters)
    after = delta_stream(cache, doubts=before.core.doubts())
    assert after.ask(CLUSTER, has={"a": clusters.resources[0].version}) == []
    (endpoints,) = after.ask(ENDPOINT, "a", has={"a": resource(ENDPOINT, "a").version})
    assert len(endpoints.resources) == 1


def test_endpoints_that_a_cluster_waited_for_when_a_stream_broke_that_was_not_asked_for_any_are_sent_on_the_next(
    cache: Any, delta_stream: Any, resource: Any
) -> None:
    """Envoy asks for clusters first; it takes the changed one, and states what endpoints it has as ever."""
    doubted = {ENDPOINT.type_url: {"b": (None,)}}
    before = delta_stream(cache, doubts=doubted)
    before.put(resource(CLUSTER, "a", 1, eds=True), *(resource(ENDPOINT, name) for name in "abc"))
    (clusters,) = before.ask(CLUSTER, has={"a": resource(CLUSTER, "a", eds=True).version})
    assert [entry.name for entry in clusters.resources] == ["a"]
    before.core.close()
    after = delta_stream(cache, doubts=before.core.doubts())
    (endpoints,) = after.ask(ENDPOINT, *"abc", has={name: resource(ENDPOINT, name).version for name in "abc"})
    assert sorted(entry.name for entry in endpoints.resources) == ["a", "b"]
    assert after.ack(ENDPOINT, endpoints) == []
    assert after.core.doubts() == {ENDPOINT.type_url: {}}


def test_a_stream_of_clusters_alone_leaves_endpoints_to_other_streams(
    cache: Any, delta_stream: Any, resource: Any
) -> None:
    client = delta_stream(cache, kind=CLUSTER)
    client.put(resource(CLUSTER, "a", eds=True), resource(ENDPOINT, "a"))
    client.ask(CLUSTER)
    assert client.core.doubts().keys() == {CLUSTER.type_url}


def test_endpoints_that_a_cluster_was_to_fall_back_to_when_the_stream_broke_are_sent_on_the_next(
    cache: Any, delta_stream: Any, resource: Any
) -> None:
    before = delta_stream(cache)
    subscribe_all(before, resource, "a", "b")
    before.put(resource(ENDPOINT, "a", 7))
    (refused,) = before.read()
    (fallback,) = before.nack(ENDPOINT, refused, "no")
    before.ack(ENDPOINT, fallback)
    before.put(resource(ENDPOINT, "b", 1))
    (_in_flight,) = before.read()
    before.put(resource(CLUSTER, "a", 1, eds=True))
    (_clusters,) = before.read()
    before.core.close()
    cache.update(upsert=[resource(ENDPOINT, "a")])
    after = delta_stream(cache, doubts=before.core.doubts())
    (endpoints,) = after.ask(ENDPOINT, "a", has={"a": resource(ENDPOINT, "a").version})
    assert [entry.name for entry in endpoints.resources] == ["a"]


def test_a_cluster_that_waits_gets_the_endpoints_it_had_when_the_newest_are_refused(delta: Any, resource: Any) -> None:
    subscribe_all(delta, resource, "a")
    delta.put(resource(ENDPOINT, "a", 7))
    (refused,) = delta.read()
    (fallback,) = delta.nack(ENDPOINT, refused, "no")
    assert [entry.version for entry in fallback.resources] == [resource(ENDPOINT, "a").version]
    assert delta.ack(ENDPOINT, fallback) == []
    assert delta.status(ENDPOINT)["a"].state is SyncState.REJECTED
    delta.put(resource(CLUSTER, "a", 1, eds=True))
    _clusters, fallback = delta.read()
    assert [entry.version for entry in fallback.resources] == [resource(ENDPOINT, "a").version]
    assert delta.ack(ENDPOINT, fallback) == []
    assert delta.status(ENDPOINT)["a"].state is SyncState.REJECTED


def test_a_cluster_that_waits_is_answered_though_its_endpoints_went_back_to_what_they_were(
    delta: Any, resource: Any
) -> None:
    subscribe_all(delta, resource, "a", "b")
    delta.put(resource(ENDPOINT, "a", 7))
    (refused,) = delta.read()
    delta.put(resource(ENDPOINT, "b", 1))
    (in_flight,) = delta.nack(ENDPOINT, refused, "no")
    delta.put(resource(ENDPOINT, "a"), resource(CLUSTER, "a", 1, eds=True))
    (_clusters,) = delta.read()
    (endpoints,) = delta.ack(ENDPOINT, in_flight)
    assert [entry.name for entry in endpoints.resources] == ["a"]


def test_endpoints_that_a_cluster_falls_back_to_are_sent_again_when_they_were_refused_with_others(
    delta: Any, resource: Any
) -> None:
    subscribe_all(delta, resource, "a", "b")
    delta.put(resource(ENDPOINT, "a", 7))
    (refused,) = delta.read()
    delta.put(resource(ENDPOINT, "b", 7))
    (both,) = delta.nack(ENDPOINT, refused, "a: no")
    assert [entry.name for entry in both.resources] == ["b", "a"]
    (fallback,) = delta.nack(ENDPOINT, both, "b: no")
    versions = {entry.name: entry.version for entry in fallback.resources}
    assert versions == {name: resource(ENDPOINT, name).version for name in "ab"}
    assert delta.ack(ENDPOINT, fallback) == []
    assert {status.state for status in delta.status(ENDPOINT).values()} == {SyncState.REJECTED}


def test_a_client_that_refuses_everything_is_not_asked_for_ever(delta: Any, resource: Any) -> None:
    subscribe_all(delta, resource, "a", "b")
    delta.put(resource(ENDPOINT, "a", 7), resource(ENDPOINT, "b", 7), resource(CLUSTER, "a", 1, eds=True))
    responses = delta.read()
    for _ in range(10):
        responses = [again for each in responses for again in delta.nack(resource_type(each.type_url), each, "no")]
    assert responses == []


def test_a_cluster_that_waits_gets_refused_endpoints_again_when_it_never_had_better_ones(
    delta: Any, resource: Any
) -> None:
    delta.put(resource(CLUSTER, "a", eds=True), resource(ENDPOINT, "a"))
    (clusters,) = delta.ask(CLUSTER)
    (refused,) = delta.ask(ENDPOINT, "a")
    assert delta.ack(CLUSTER, clusters) == []
    assert delta.nack(ENDPOINT, refused, "no") == []
    delta.put(resource(CLUSTER, "a", 1, eds=True))
    _clusters, again = delta.read()
    assert [entry.version for entry in again.resources] == [resource(ENDPOINT, "a").version]
    assert delta.nack(ENDPOINT, again, "no") == []
    assert delta.status(ENDPOINT)["a"].state is SyncState.REJECTED


def test_stale_clusters_and_endpoints_are_removed_after_the_listeners_moved(delta: Any, resource: Any) -> None:
    subscribe_all(delta, resource, "a")
    delta.remove(CLUSTER, "a")
    delta.remove(ENDPOINT, "a")
    delta.put(resource(LISTENER, "a", 1))
    (listeners,) = delta.read()
    assert listeners.type_url == LISTENER.type_url
    clusters, endpoints = delta.ack(LISTENER, listeners)
    assert types([clusters, endpoints]) == [CLUSTER.type_url, ENDPOINT.type_url]
    assert list(clusters.removed_resources) == list(endpoints.removed_resources) == ["a"]


def test_a_full_state_keeps_stale_clusters_until_the_listeners_moved(sotw: Any, resource: Any) -> None:
    subscribe_all(sotw, resource, "a", "b")
    sotw.remove(CLUSTER, "a")
    sotw.put(resource(LISTENER, "a", 1), resource(CLUSTER, "b", 1, eds=True))
    clusters, _endpoints = sotw.read()
    assert len(clusters.resources) == 2
    (listeners,) = sotw.accept(CLUSTER, clusters, "a", "b")
    (clusters,) = sotw.accept(LISTENER, listeners, "a", "b")
    assert len(clusters.resources) == 1


def test_nonces_and_versions_are_separate_per_type(any_stream: Any, resource: Any) -> None:
    any_stream.put(*(resource(kind, "a") for kind in ALL))
    (clusters,) = any_stream.ask(CLUSTER, "a")
    (endpoints,) = any_stream.ask(ENDPOINT, "a")
    any_stream.accept(ENDPOINT, clusters, "a")
    assert any_stream.status(ENDPOINT)["a"].state.value == "sent"
    any_stream.accept(ENDPOINT, endpoints, "a")
    assert any_stream.status(CLUSTER)["a"].state.value == "sent"
    assert any_stream.status(ENDPOINT)["a"].state.value == "synced"


def test_an_empty_type_url_ends_the_stream(any_stream: Any) -> None:
    kind = type("Kind", (), {"type_url": ""})
    with pytest.raises(StreamError, match="type_url") as error:
        any_stream.ask(kind)
    assert error.value.fault is Fault.INVALID_ARGUMENT


def test_a_node_that_changes_its_id_ends_the_stream(delta: Any) -> None:
    request = discovery_pb2.DeltaDiscoveryRequest(type_url=CLUSTER.type_url)
    delta.core.receive(request)
    request.node.id = "node"
    delta.core.receive(request)
    request.node.id = "other"
    with pytest.raises(StreamError, match="'node' to 'other'"):
        delta.core.receive(request)


def test_a_client_cannot_subscribe_without_bound(any_stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_NAMES", 10)
    any_stream.ask(CLUSTER, *(f"c{i}" for i in range(6)))
    with pytest.raises(StreamError, match="more than 10 resource names") as error:
        any_stream.ask(ENDPOINT, *(f"c{i}" for i in range(6)))
    assert error.value.fault is Fault.RESOURCE_EXHAUSTED


def test_a_client_cannot_invent_types_without_bound(delta: Any) -> None:
    kinds = [type("Kind", (), {"type_url": f"type.googleapis.com/t{i}"}) for i in range(stream.MAX_TYPES + 1)]
    for kind in kinds[:-1]:
        delta.ask(kind)
    with pytest.raises(StreamError, match="resource types"):
        delta.ask(kinds[-1])


def test_an_observer_may_update_the_cache_when_it_is_told(delta: Any, resource: Any) -> None:
    delta.put(resource(ENDPOINT, "a"))
    (response,) = delta.ask(ENDPOINT, "a")
    tell = delta.resources_acknowledged
    delta.resources_acknowledged = lambda *args: (tell(*args), delta.put(resource(ENDPOINT, "a", 1)))
    (response,) = delta.ack(ENDPOINT, response)
    assert len(response.resources) == 1


def test_a_type_that_the_table_lacks_is_served_by_name(delta: Any, cache: Any) -> None:
    kind = type("Kind", (), {"type_url": "type.googleapis.com/acme.Thing"})
    cache.update(upsert=[Resource(kind.type_url, "a", "1", b"")])
    (response,) = delta.ask(kind, "a")
    assert [entry.name for entry in response.resources] == ["a"]


@pytest.mark.parametrize("kind", RESOURCE_TYPES.values(), ids=lambda kind: kind.short_name)
def test_a_name_that_does_not_exist_is_answered_at_once_for_every_type(delta: Any, kind: Any) -> None:
    """Clients wait some 15 s for what is not answered, and hold back what points at it."""
    (response,) = delta.ask(kind, "none")
    without_body = [entry.name for entry in response.resources if not entry.HasField("resource")]
    assert [*response.removed_resources, *without_body] == ["none"]


@pytest.mark.parametrize("code", [FailureCode.NOT_FOUND, FailureCode.UNAVAILABLE])
def test_a_failure_is_told_and_replaced_by_the_resource(any_stream: Any, resource: Any, code: FailureCode) -> None:
    any_stream.put(Failure(ROUTE.type_url, "a", code, "its source is not there"))
    (response,) = any_stream.ask(ROUTE, "a")
    (error,) = response.resource_errors
    assert (error.resource_name.name, error.error_detail.code) == ("a", code.value)
    assert not response.resources
    assert any_stream.accept(ROUTE, response, "a") == []
    any_stream.put(resource(ROUTE, "a"))
    (response,) = any_stream.read()
    assert len(response.resources) == 1
    assert not response.resource_errors
