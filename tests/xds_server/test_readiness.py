"""When an RTSP proxy knows its routes, by what is counted of it."""

from __future__ import annotations

from collections import Counter

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_pb2

from xds_server.cache import ResourceCache
from xds_server.readiness import knows_routes
from xds_server.resource_types import CLUSTER, ENDPOINT, ROUTE
from xds_server.resources import Resource
from xds_server.scopes import RTSP_CLUSTER
from xds_server.subscription import ConnectedProxy, Node, ResourceStatus, SyncState, XdsProtocol

SYNCED, SENT, NOT_SENT, STALE, REJECTED = (
    SyncState.SYNCED,
    SyncState.SENT,
    SyncState.NOT_SENT,
    SyncState.STALE,
    SyncState.REJECTED,
)
CLUSTERS = ("a", "b", "c")
ALL = {CLUSTER.type_url: {SYNCED: 3}, ENDPOINT.type_url: {SYNCED: 3}, ROUTE.type_url: {SYNCED: 1}}


def routes() -> ResourceCache:
    cache = ResourceCache()
    cache.update(upsert=[Resource.of(endpoint_pb2.ClusterLoadAssignment(cluster_name=name)) for name in CLUSTERS])
    cache.update(upsert=[Resource.of(cluster_pb2.Cluster(name=name)) for name in CLUSTERS])
    cache.update(upsert=[Resource.of(route_pb2.RouteConfiguration(name="rtsp"))])
    return cache


def proxy(counts: dict[str, dict[SyncState, int]]) -> ConnectedProxy:
    """A proxy that is counted, but whose resources nobody may go through."""

    def listed() -> list[ResourceStatus]:
        raise AssertionError("every resource was gone through for one ACK")

    return ConnectedProxy(
        id="s",
        node=Node(id="rtsp", cluster=RTSP_CLUSTER),
        peer="peer",
        connected_at=0.0,
        protocol=XdsProtocol.DELTA,
        statuses=listed,
        counts=lambda: {type_url: Counter(of_type) for type_url, of_type in counts.items()},
        unanswered_since=lambda: None,
    )


@pytest.mark.parametrize(
    "endpoints",
    [
        {SYNCED: 3},
        {SYNCED: 1, STALE: 1, REJECTED: 1},
        {SYNCED: 4},  # one that was asked for and is nowhere
        {SYNCED: 3, SENT: 1},  # a removal is on its way
    ],
)
def test_a_proxy_that_was_told_of_everything_knows_its_routes(endpoints: dict[SyncState, int]) -> None:
    assert knows_routes(proxy(ALL | {ENDPOINT.type_url: endpoints}), routes())


@pytest.mark.parametrize(
    "endpoints",
    [
        {},
        {SYNCED: 2},
        {SYNCED: 2, SENT: 1},
        {SYNCED: 2, NOT_SENT: 1},
        {SYNCED: 3, NOT_SENT: 1},  # one that is nowhere does not stand for one that waits
    ],
)
def test_a_proxy_that_lacks_a_backend_does_not(endpoints: dict[SyncState, int]) -> None:
    assert not knows_routes(proxy(ALL | {ENDPOINT.type_url: endpoints}), routes())


@pytest.mark.parametrize("missing", ALL)
def test_a_proxy_that_never_asked_for_a_type_does_not(missing: str) -> None:
    counts = {type_url: of_type for type_url, of_type in ALL.items() if type_url != missing}
    assert not knows_routes(proxy(counts), routes())


def test_where_there_is_nothing_to_know_a_proxy_knows_it() -> None:
    assert knows_routes(proxy({}), ResourceCache())
