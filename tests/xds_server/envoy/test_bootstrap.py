"""The bootstrap as Envoy's own schema reads it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.metrics.v3 import metrics_service_pb2
from envoy.extensions.bootstrap.internal_listener.v3 import internal_listener_pb2
from envoy.extensions.resource_monitors.downstream_connections.v3 import downstream_connections_pb2
from envoy.extensions.resource_monitors.fixed_heap.v3 import fixed_heap_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from google.protobuf import json_format

from xds_server.envoy import (
    Bootstrap,
    MediaProxy,
    ProxyKind,
    ProxyNode,
    SocketPath,
    TcpAddress,
    WorkloadIdentity,
    bootstrap,
    media_proxy_of,
)
from xds_server.subscription import node_of

# Any needs its messages known.
_KNOWN = (
    downstream_connections_pb2,
    fixed_heap_pb2,
    http_protocol_options_pb2,
    internal_listener_pb2,
    metrics_service_pb2,
)
PROCESS = MediaProxy(workers=3, files=9_000, instance="abc")
NODE = ProxyNode(id="envoy", kind=ProxyKind.MEDIA, process=PROCESS)
WANTED = Bootstrap(
    node=NODE,
    xds=TcpAddress(host="192.0.2.1", port=18000),
    admin=SocketPath(path="/run/msm/admin.sock"),
    heap_bytes=1 << 30,
    connections=100,
)
IDENTITY = WorkloadIdentity(agent=SocketPath(path="/run/spire/agent.sock"), server="spiffe://example.org/control-plane")


def read(wanted: Bootstrap) -> Any:
    return json_format.ParseDict(bootstrap(wanted), bootstrap_pb2.Bootstrap())


def test_a_media_proxy_says_what_its_process_may_use() -> None:
    node = node_of(read(WANTED).node)
    assert (node.id, node.cluster) == ("envoy", "msm-media")
    assert media_proxy_of(node.metadata) == PROCESS


def test_a_gateway_proxy_says_where_it_is_and_which_gateway_it_serves() -> None:
    node = replace(
        NODE, kind=ProxyKind.GATEWAY, gateway="games/lobby", region="eu", zone="eu-1", metadata={"rack": "7"}
    )
    message = read(replace(WANTED, node=node)).node
    assert (message.cluster, message.locality.region, message.locality.zone) == ("msm-gateway", "eu", "eu-1")
    told = node_of(message).metadata
    assert (told["rack"], told["mediastreamingmesh.io"]["gateway"]) == ("7", "games/lobby")


def test_a_node_that_our_bootstrap_did_not_make_is_no_proxy_of_ours() -> None:
    assert media_proxy_of({}) is None
    assert media_proxy_of({"mediastreamingmesh.io": {"workers": "many"}}) is None


@pytest.mark.parametrize(
    ("host", "discovery"), [("192.0.2.1", "STATIC"), ("2001:db8::1", "STATIC"), ("control.example", "STRICT_DNS")]
)
def test_a_control_plane_is_found_by_address_or_by_name(host: str, discovery: str) -> None:
    (cluster,) = read(replace(WANTED, xds=TcpAddress(host=host, port=1))).static_resources.clusters
    assert cluster_pb2.Cluster.DiscoveryType.Name(cluster.type) == discovery
    (locality,) = cluster.load_assignment.endpoints
    assert locality.lb_endpoints[0].endpoint.address.socket_address.address == host


def test_everything_comes_over_one_incremental_stream() -> None:
    resources = read(WANTED).dynamic_resources
    assert resources.ads_config.api_type == resources.ads_config.DELTA_GRPC
    assert resources.lds_config.HasField("ads")
    assert resources.cds_config.HasField("ads")


def test_a_media_proxy_tells_its_control_plane_once_a_second_what_it_has_counted() -> None:
    media = read(WANTED)
    (sink,) = media.stats_sinks
    service = metrics_service_pb2.MetricsServiceConfig()
    assert sink.typed_config.Unpack(service)
    assert service.grpc_service.envoy_grpc.cluster_name == media.static_resources.clusters[0].name
    assert media.stats_flush_interval.ToTimedelta() == timedelta(seconds=1)
    assert not read(replace(WANTED, node=replace(NODE, kind=ProxyKind.GATEWAY))).stats_sinks


def test_memory_and_connections_are_limited_and_no_limit_ever_stops_udp() -> None:
    manager = read(replace(WANTED, connections=77)).overload_manager
    heap, connections = fixed_heap_pb2.FixedHeapConfig(), downstream_connections_pb2.DownstreamConnectionsConfig()
    assert manager.resource_monitors[0].typed_config.Unpack(heap)
    assert manager.resource_monitors[1].typed_config.Unpack(connections)
    assert (heap.max_heap_size_bytes, connections.max_active_downstream_connections) == (1 << 30, 77)
    # stop_accepting_connections stops UDP listeners as well.
    assert [action.name for action in manager.actions] == ["envoy.overload_actions.shrink_heap"]
    assert [point.name for point in manager.loadshed_points] == ["envoy.load_shed_points.tcp_listener_accept"]


def test_the_admin_interface_is_a_socket_of_its_owner_or_an_address() -> None:
    pipe = read(WANTED).admin.address.pipe
    assert (pipe.path, pipe.mode) == ("/run/msm/admin.sock", 0o600)
    address = read(replace(WANTED, admin=TcpAddress(host="127.0.0.1", port=9901))).admin.address.socket_address
    assert (address.address, address.port_value) == ("127.0.0.1", 9901)


@pytest.mark.parametrize(
    ("server", "pattern"), [("spiffe://example.org/control-plane", "exact"), ("spiffe://example.org/", "prefix")]
)
def test_an_identity_makes_the_control_plane_prove_its_own(server: str, pattern: str) -> None:
    control_plane, agent = read(replace(WANTED, identity=replace(IDENTITY, server=server))).static_resources.clusters
    context = tls_pb2.UpstreamTlsContext()
    assert control_plane.transport_socket.typed_config.Unpack(context)
    tls = context.common_tls_context
    validation = tls.combined_validation_context
    (name,) = validation.default_validation_context.match_typed_subject_alt_names
    assert (name.san_type, name.matcher.WhichOneof("match_pattern")) == (name.URI, pattern)
    assert getattr(name.matcher, pattern) == server
    secrets = (tls.tls_certificate_sds_secret_configs[0], validation.validation_context_sds_secret_config)
    assert [secret.name for secret in secrets] == ["default", "ROOTCA"]
    for secret in secrets:
        (service,) = secret.sds_config.api_config_source.grpc_services
        assert service.envoy_grpc.cluster_name == agent.name == "spire_agent"
    (locality,) = agent.load_assignment.endpoints
    assert locality.lb_endpoints[0].endpoint.address.pipe.path == "/run/spire/agent.sock"


def test_without_an_identity_nothing_is_encrypted() -> None:
    (cluster,) = read(WANTED).static_resources.clusters
    assert not cluster.HasField("transport_socket")


def test_only_media_proxies_leave_statistics_out() -> None:
    assert read(WANTED).stats_config.HasField("stats_matcher")
    assert not read(replace(WANTED, node=replace(NODE, kind=ProxyKind.GATEWAY))).stats_config.HasField("stats_matcher")


@pytest.mark.parametrize("kind", ProxyKind)
def test_clusters_may_lead_to_listeners_of_the_same_envoy(kind: ProxyKind) -> None:
    (extension,) = read(replace(WANTED, node=replace(NODE, kind=kind))).bootstrap_extensions
    assert extension.typed_config.Is(internal_listener_pb2.InternalListener.DESCRIPTOR)
