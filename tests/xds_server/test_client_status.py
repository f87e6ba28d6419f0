"""What a proxy has, in the terms of client status discovery: each state, and what goes with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from envoy.admin.v3 import config_dump_shared_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.status.v3 import csds_pb2

from xds_server.cache import ResourceCache
from xds_server.client_status import client_config, clients, statuses_of
from xds_server.resource_types import CLUSTER, ENDPOINT, SECRET
from xds_server.resources import Failure, FailureCode, Resource
from xds_server.subscription import ConnectedProxy, Locality, Node, ResourceStatus, SyncState, XdsProtocol

NEW = Resource.of(cluster_pb2.Cluster(name="one"))
OLD = "an older version"
NODE = Node(
    id="envoy",
    cluster="msm-media",
    user_agent="envoy",
    user_agent_version="1.40.0",
    metadata={"mesh": {"workers": 2.0}},
    locality=Locality(region="eu", zone="eu-1"),
    client_features=frozenset({"b", "a"}),
)


def status(
    state: SyncState,
    sent: str | None,
    acknowledged: str | None,
    *,
    type_url: str = CLUSTER.type_url,
    error: str | None = None,
) -> ResourceStatus:
    return ResourceStatus(
        type_url=type_url, name="one", version_sent=sent, version_acknowledged=acknowledged, state=state, error=error
    )


def proxy(statuses: Sequence[ResourceStatus], *, node: Node = NODE, connected_at: float = 0.0) -> ConnectedProxy:
    return ConnectedProxy(
        id="s",
        node=node,
        peer="peer",
        connected_at=connected_at,
        protocol=XdsProtocol.DELTA,
        statuses=lambda: list(statuses),
        counts=dict,
        unanswered_since=lambda: None,
    )


def config(*statuses: ResourceStatus, contents: bool = True, cached: Resource | Failure | None = NEW) -> Any:
    cache = ResourceCache()
    cache.update(upsert=[cached] if cached else [])
    pieces = client_config([proxy(statuses)], lambda node: cache, contents=contents)
    return csds_pb2.ClientConfig.FromString(b"".join(pieces))


def one(*statuses: ResourceStatus, **options: Any) -> Any:
    (only,) = config(*statuses, **options).generic_xds_configs
    return only


@pytest.mark.parametrize(
    ("told", "config_status", "client_status", "version"),
    [
        (status(SyncState.SYNCED, NEW.version, NEW.version), "SYNCED", "ACKED", NEW.version),
        (status(SyncState.SYNCED, None, None), "SYNCED", "DOES_NOT_EXIST", ""),
        (status(SyncState.SENT, NEW.version, None), "STALE", "REQUESTED", NEW.version),
        (status(SyncState.SENT, NEW.version, OLD), "STALE", "ACKED", NEW.version),
        (status(SyncState.SENT, None, OLD), "STALE", "ACKED", ""),
        (status(SyncState.STALE, OLD, OLD), "STALE", "ACKED", OLD),
        (status(SyncState.NOT_SENT, None, None), "NOT_SENT", "REQUESTED", ""),
        (status(SyncState.REJECTED, NEW.version, OLD, error="no"), "ERROR", "NACKED", OLD),
        (status(SyncState.REJECTED, NEW.version, None, error="no"), "ERROR", "NACKED", ""),
    ],
)
def test_each_state_is_told_from_both_sides(
    told: ResourceStatus, config_status: str, client_status: str, version: str
) -> None:
    found = one(told)
    assert (found.type_url, found.name, found.version_info) == (CLUSTER.type_url, "one", version)
    assert csds_pb2.ConfigStatus.Name(found.config_status) == config_status
    assert config_dump_shared_pb2.ClientResourceStatus.Name(found.client_status) == client_status


@pytest.mark.parametrize("state", SyncState)
def test_no_state_is_unknown(state: SyncState) -> None:
    assert one(status(state, NEW.version, OLD)).config_status != csds_pb2.UNKNOWN


def test_a_refusal_has_the_proxy_s_words_the_version_and_what_was_refused() -> None:
    found = one(status(SyncState.REJECTED, NEW.version, OLD, error="cannot bind"))
    assert (found.error_state.details, found.error_state.version_info) == ("cannot bind", NEW.version)
    assert found.error_state.failed_configuration.value == NEW.body
    assert not found.HasField("xds_config")


def test_what_was_refused_is_not_shown_any_more_once_it_has_been_replaced() -> None:
    found = one(status(SyncState.REJECTED, "the one before", OLD, error="cannot bind"))
    assert found.error_state.version_info == "the one before"
    assert not found.error_state.HasField("failed_configuration")


def test_what_the_proxy_has_is_shown_only_where_it_is_known() -> None:
    assert one(status(SyncState.SYNCED, NEW.version, NEW.version)).xds_config.value == NEW.body
    assert not one(status(SyncState.STALE, OLD, OLD)).HasField("xds_config")


def test_what_is_in_a_secret_is_told_to_nobody() -> None:
    message = secret_pb2.Secret(name="one")
    message.generic_secret.secret.inline_string = "s3cret"
    cached = Resource.of(message)
    for state in SyncState:
        seen = config(status(state, cached.version, cached.version, type_url=SECRET.type_url), cached=cached)
        assert "one" in str(seen)
        assert b"s3cret" not in seen.SerializeToString()


def test_contents_may_be_left_out() -> None:
    synced = one(status(SyncState.SYNCED, NEW.version, NEW.version), contents=False)
    refused = one(status(SyncState.REJECTED, NEW.version, None, error="no"), contents=False)
    assert not synced.HasField("xds_config")
    assert refused.error_state.details == "no"
    assert not refused.error_state.HasField("failed_configuration")


def test_a_failure_that_the_proxy_was_told_of_is_shown_with_its_reason() -> None:
    failure = Failure(CLUSTER.type_url, "one", FailureCode.UNAVAILABLE, "no address yet")
    found = one(status(SyncState.SYNCED, failure.version, failure.version), cached=failure)
    assert config_dump_shared_pb2.ClientResourceStatus.Name(found.client_status) == "RECEIVED_ERROR"
    assert found.error_state.details == "no address yet"


def test_a_node_is_told_as_it_stated_itself() -> None:
    node = config().node
    assert (node.id, node.cluster, node.user_agent_name, node.user_agent_version) == (
        "envoy",
        "msm-media",
        "envoy",
        "1.40.0",
    )
    assert (node.locality.region, node.locality.zone, list(node.client_features)) == ("eu", "eu-1", ["a", "b"])
    assert node.metadata["mesh"]["workers"] == 2.0


def test_streams_of_one_proxy_belong_together_the_newest_last() -> None:
    old, new = proxy([], connected_at=1.0), proxy([], connected_at=2.0)
    other = proxy([], node=Node(id="a", cluster="msm-rtsp"))
    assert clients([new, other, old]) == [[old, new], [other]]


def test_of_each_type_the_newest_stream_that_carries_it_counts() -> None:
    before, after = status(SyncState.STALE, OLD, OLD), status(SyncState.SYNCED, NEW.version, NEW.version)
    endpoints = status(SyncState.SYNCED, OLD, OLD, type_url=ENDPOINT.type_url)
    assert list(statuses_of([proxy([before, endpoints]), proxy([after])])) == [after, endpoints]


def test_what_a_proxy_has_is_looked_at_piece_by_piece() -> None:
    looked = 0

    def statuses() -> Iterator[ResourceStatus]:
        nonlocal looked
        for _ in range(100):
            looked += 1
            yield status(SyncState.SYNCED, NEW.version, NEW.version)

    one = replace(proxy([]), statuses=statuses)
    seen = [looked for _ in client_config([one, one], lambda node: None, contents=True)]
    assert seen == list(range(201))  # the node, the newest stream, the older one of the same type
