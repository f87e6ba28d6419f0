"""Time to live, and the heartbeats that renew it."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.service.discovery.v3 import discovery_pb2

from xds_server.resource_types import CLUSTER, ENDPOINT, LISTENER
from xds_server.resources import Resource
from xds_server.subscription import Node

TTL = "xds.config.supports-resource-ttl"
WRAPPED = "xds.config.resource-in-sotw"
TTL_SECONDS = 4.0


def node(*features: str) -> Node:
    return Node(id="node", cluster="cluster", client_features=frozenset(features))


def timed(name: str) -> Resource:
    return Resource.of(cluster_pb2.Cluster(name=name), ttl=TTL_SECONDS)


def unwrapped(response: Any) -> list[Any]:
    wrappers = []
    for entry in response.resources:
        wrapper = discovery_pb2.Resource()
        assert entry.Unpack(wrapper)
        wrappers.append(wrapper)
    return wrappers


def test_a_time_to_live_is_only_for_clients_that_can(cache: Any, delta_stream: Any, sotw_stream: Any) -> None:
    cache.update(upsert=[timed("a")])
    (response,) = delta_stream(cache, node=node()).ask(CLUSTER)
    assert not response.resources[0].HasField("ttl")
    (response,) = delta_stream(cache, node=node(TTL)).ask(CLUSTER)
    assert response.resources[0].ttl.seconds == TTL_SECONDS
    (response,) = sotw_stream(cache, node=node(TTL)).ask(CLUSTER)
    assert response.resources[0].type_url == CLUSTER.type_url
    (response,) = sotw_stream(cache, node=node(TTL, WRAPPED)).ask(CLUSTER)
    assert [wrapper.ttl.seconds for wrapper in unwrapped(response)] == [TTL_SECONDS]


def test_a_heartbeat_without_body_renews_it(cache: Any, delta_stream: Any) -> None:
    stream = delta_stream(cache, node=node(TTL))
    stream.put(timed("a"), Resource.of(cluster_pb2.Cluster(name="b")))
    (response,) = stream.ask(CLUSTER)
    assert stream.ack(CLUSTER, response) == []
    assert stream.core.next_timer == TTL_SECONDS / 2
    assert stream.read() == []
    for now in (TTL_SECONDS / 2, TTL_SECONDS):
        stream.now = now
        (heartbeat,) = stream.read()
        (entry,) = heartbeat.resources
        assert (entry.name, entry.version, entry.ttl.seconds) == ("a", response.resources[0].version, TTL_SECONDS)
        assert not entry.HasField("resource")
        assert stream.ack(CLUSTER, heartbeat) == []


def test_a_heartbeat_waits_for_the_answer_to_what_is_in_flight(cache: Any, delta_stream: Any) -> None:
    stream = delta_stream(cache, node=node(TTL))
    stream.put(timed("a"))
    (response,) = stream.ask(CLUSTER)
    stream.now = TTL_SECONDS
    assert stream.core.next_timer is None
    assert stream.read() == []
    (heartbeat,) = stream.ack(CLUSTER, response)
    assert not heartbeat.resources[0].HasField("resource")


@pytest.mark.parametrize("gone", [True, False])
def test_what_went_or_lives_for_ever_now_is_not_renewed(gone: bool, cache: Any, delta_stream: Any) -> None:
    stream = delta_stream(cache, node=node(TTL))
    stream.put(timed("a"))
    (response,) = stream.ask(CLUSTER)
    stream.ack(CLUSTER, response)
    if gone:
        stream.remove(CLUSTER, "a")
    else:
        stream.put(Resource.of(cluster_pb2.Cluster(name="a")))
    (response,) = stream.read()
    assert stream.ack(CLUSTER, response) == []
    assert stream.core.next_timer is None


def test_an_unsubscribed_name_is_not_renewed(cache: Any, delta_stream: Any) -> None:
    stream = delta_stream(cache, node=node(TTL))
    stream.put(timed("a"))
    (response,) = stream.ask(CLUSTER, "a")
    stream.ack(CLUSTER, response, drop=["a"])
    assert stream.core.next_timer is None


def test_the_state_of_the_world_is_renewed_as_a_whole(cache: Any, sotw_stream: Any) -> None:
    """Envoy takes a state whose bodies are left out for one without those resources."""
    stream = sotw_stream(cache, node=node(TTL, WRAPPED))
    stream.put(timed("a"), Resource.of(cluster_pb2.Cluster(name="b")))
    (response,) = stream.ask(CLUSTER)
    stream.ack(CLUSTER, response)
    stream.now = TTL_SECONDS / 2
    (heartbeat,) = stream.read()
    assert list(heartbeat.resources) == list(response.resources)
    assert heartbeat.version_info == response.version_info


def test_other_types_have_no_time_to_live_in_the_state_of_the_world(cache: Any, sotw_stream: Any) -> None:
    stream = sotw_stream(cache, node=node(TTL, WRAPPED))
    stream.put(Resource.of(endpoint_pb2.ClusterLoadAssignment(cluster_name="a"), ttl=TTL_SECONDS))
    (response,) = stream.ask(ENDPOINT, "a")
    stream.ack(ENDPOINT, response, "a")
    assert response.resources[0].type_url == ENDPOINT.type_url
    assert stream.core.next_timer is None


def test_a_renewal_waits_for_no_other_type(cache: Any, delta_stream: Any) -> None:
    """A cluster that is not acknowledged yet holds listeners back, but not the life of those that are there."""
    stream = delta_stream(cache, node=node(TTL))
    stream.put(Resource.of(listener_pb2.Listener(name="a"), ttl=TTL_SECONDS))
    (none_yet,) = stream.ask(CLUSTER)
    stream.ack(CLUSTER, none_yet)
    (listeners,) = stream.ask(LISTENER)
    stream.ack(LISTENER, listeners)
    stream.put(Resource.of(cluster_pb2.Cluster(name="cold")))
    stream.read()
    stream.now = TTL_SECONDS
    responses = stream.read()
    assert [entry.name for each in responses for entry in each.resources] == ["a"]
    assert stream.core.next_timer is None


def test_what_is_due_and_cannot_be_renewed_is_not_due_for_ever(cache: Any, delta_stream: Any) -> None:
    stream = delta_stream(cache, node=node(TTL))
    stream.put(timed("a"), timed("b"))
    (response,) = stream.ask(CLUSTER)
    stream.ack(CLUSTER, response)
    stream.put(Resource.of(cluster_pb2.Cluster(name="a", alt_stat_name="refused"), ttl=TTL_SECONDS))
    (response,) = stream.read()
    stream.nack(CLUSTER, response)
    stream.now = TTL_SECONDS
    (heartbeat,) = stream.read()
    assert [entry.name for entry in heartbeat.resources] == ["b"]
    stream.ack(CLUSTER, heartbeat)
    assert stream.core.next_timer > stream.now
