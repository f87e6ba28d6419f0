"""How many resources of a client are in which state, and since when it owes an answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from xds_server.cache import ResourceCache
from xds_server.resource_types import CLUSTER, ENDPOINT, ResourceType
from xds_server.resources import Content, Resource
from xds_server.subscription import SyncState

COLLECTION = "xdstp://here/envoy.config.endpoint.v3.ClusterLoadAssignment/all/"
Make = Callable[..., Resource]


def counted(stream: Any, kind: ResourceType) -> Counter[SyncState]:
    """The counts of a type, which must be those of the statuses."""
    counts = stream.core.proxy.counts()[kind.type_url]
    assert counts == Counter(status.state for status in stream.status(kind).values())
    return counts


def test_names_that_are_asked_for_twice_over_count_once(delta: Any, resource: Make) -> None:
    delta.put(*(resource(ENDPOINT, f"{COLLECTION}{name}") for name in "ab"), resource(ENDPOINT, "c"))
    names = (f"{COLLECTION}*", f"{COLLECTION}a", f"{COLLECTION}missing", "c", "nowhere")
    (response,) = delta.ask(ENDPOINT, *names)
    assert counted(delta, ENDPOINT) == {SyncState.SENT: 5}
    delta.accept(ENDPOINT, response)
    assert counted(delta, ENDPOINT) == {SyncState.SYNCED: 5}
    (response,) = delta.ask(ENDPOINT, "*")
    delta.accept(ENDPOINT, response)
    delta.put(resource(ENDPOINT, "d"))
    assert counted(delta, ENDPOINT) == {SyncState.SYNCED: 5, SyncState.NOT_SENT: 1}


def test_what_is_refused_and_what_is_behind_is_counted_apart(delta: Any, resource: Make) -> None:
    delta.put(resource(CLUSTER, "a"), resource(CLUSTER, "b"))
    (response,) = delta.ask(CLUSTER)
    delta.accept(CLUSTER, response)
    delta.put(resource(CLUSTER, "a", 1))
    (response,) = delta.read()
    delta.nack(CLUSTER, response, "a: no")
    delta.put(resource(CLUSTER, "b", 1))
    assert counted(delta, CLUSTER) == {SyncState.REJECTED: 1, SyncState.STALE: 1}


class CountingCache(ResourceCache):
    """Knows how often it was asked for a resource."""

    asked = 0

    def get(self, type_url: str, name: str) -> Content | None:
        self.asked += 1
        return super().get(type_url, name)


def test_a_client_that_is_up_to_date_is_counted_without_a_look_at_each_resource(
    delta_stream: Any, resource: Make
) -> None:
    cache = CountingCache()
    delta = delta_stream(cache)
    delta.put(*(resource(CLUSTER, str(number)) for number in range(1_000)), resource(CLUSTER, "changed"))
    (response,) = delta.ask(CLUSTER)
    delta.accept(CLUSTER, response)
    delta.put(resource(CLUSTER, "changed", 1))
    cache.asked = 0
    counts = delta.core.proxy.counts()[CLUSTER.type_url]
    assert (counts[SyncState.SYNCED], counts[SyncState.STALE]) == (1_000, 1)
    assert cache.asked < 10


def test_a_client_owes_an_answer_from_when_its_oldest_response_was_sent(delta: Any, cache: ResourceCache) -> None:
    since = delta.core.proxy.unanswered_since
    assert since() is None
    delta.now = 5.0
    (clusters,) = delta.ask(CLUSTER)
    delta.now = 7.0
    (endpoints,) = delta.ask(ENDPOINT, "a")
    assert since() == 5.0
    delta.ack(CLUSTER, clusters)
    assert since() == 7.0
    delta.nack(ENDPOINT, endpoints)
    assert since() is None
