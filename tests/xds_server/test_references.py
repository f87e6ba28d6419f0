"""What a resource points at."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import config_source_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2, scoped_route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.transport_sockets.quic.v3 import quic_transport_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2

from xds_server.resource_types import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE, SCOPED_ROUTE, SECRET, VIRTUAL_HOST


def ads() -> Any:
    return config_source_pb2.ConfigSource(ads=config_source_pb2.AggregatedConfigSource())


def elsewhere() -> Any:
    return config_source_pb2.ConfigSource(path_config_source={"path": "/file"})


@pytest.mark.parametrize("source", [ads(), config_source_pb2.ConfigSource(self=config_source_pb2.SelfConfigSource())])
def test_an_eds_cluster_points_at_its_assignment(source: Any) -> None:
    cluster = cluster_pb2.Cluster(name="x", type=cluster_pb2.Cluster.EDS)
    cluster.eds_cluster_config.eds_config.CopyFrom(source)
    assert CLUSTER.references(cluster) == ((ENDPOINT.type_url, "x"),)
    cluster.eds_cluster_config.service_name = "service"
    assert CLUSTER.references(cluster) == ((ENDPOINT.type_url, "service"),)


def test_what_another_server_has_is_no_reference() -> None:
    cluster = cluster_pb2.Cluster(name="x", type=cluster_pb2.Cluster.EDS)
    cluster.eds_cluster_config.eds_config.CopyFrom(elsewhere())
    assert CLUSTER.references(cluster) == ()
    assert CLUSTER.references(cluster_pb2.Cluster(name="x", type=cluster_pb2.Cluster.STATIC)) == ()


def test_a_cluster_points_at_the_secrets_of_its_transport_sockets() -> None:
    context = tls_pb2.UpstreamTlsContext()
    context.common_tls_context.tls_certificate_sds_secret_configs.add(name="own", sds_config=ads())
    context.common_tls_context.combined_validation_context.validation_context_sds_secret_config.name = "peers"
    context.common_tls_context.combined_validation_context.validation_context_sds_secret_config.sds_config.CopyFrom(
        ads()
    )
    cluster = cluster_pb2.Cluster(name="x")
    cluster.transport_socket.typed_config.Pack(context)
    cluster.transport_socket_matches.add(name="m").transport_socket.typed_config.Pack(context)
    assert CLUSTER.references(cluster) == ((SECRET.type_url, "own"), (SECRET.type_url, "peers"))


def test_a_listener_points_at_its_routes_filters_and_secrets() -> None:
    manager = hcm.HttpConnectionManager()
    manager.rds.route_config_name = "routes"
    manager.rds.config_source.CopyFrom(ads())
    manager.http_filters.add(name="http-filter").config_discovery.config_source.CopyFrom(ads())
    listener = listener_pb2.Listener(name="x")
    listener.listener_filters.add(name="listener-filter").config_discovery.config_source.CopyFrom(ads())
    chain = listener.filter_chains.add()
    chain.filters.add(name="http").typed_config.Pack(manager)
    chain.filters.add(name="other").typed_config.Pack(cluster_pb2.Cluster())
    early = chain.filters.add(name="early").config_discovery
    early.config_source.CopyFrom(ads())
    early.apply_default_config_without_warming = True
    quic = quic_transport_pb2.QuicDownstreamTransport()
    tls = quic.downstream_tls_context.common_tls_context
    tls.validation_context_sds_secret_config.name = "peers"
    tls.validation_context_sds_secret_config.sds_config.CopyFrom(ads())
    listener.default_filter_chain.transport_socket.typed_config.Pack(quic)
    assert set(LISTENER.references(listener)) == {
        (EXTENSION.type_url, "listener-filter"),
        (EXTENSION.type_url, "http-filter"),
        (ROUTE.type_url, "routes"),
        (SECRET.type_url, "peers"),
    }


def test_an_api_listener_points_at_its_routes() -> None:
    manager = hcm.HttpConnectionManager()
    manager.rds.route_config_name = "routes"
    manager.rds.config_source.CopyFrom(ads())
    listener = listener_pb2.Listener(name="x")
    listener.api_listener.api_listener.Pack(manager)
    assert LISTENER.references(listener) == ((ROUTE.type_url, "routes"),)


def test_routes_point_at_their_virtual_hosts_on_demand_and_scopes_at_routes() -> None:
    routes = route_pb2.RouteConfiguration(name="r")
    assert ROUTE.references(routes) == ()
    routes.vhds.config_source.CopyFrom(ads())
    assert ROUTE.references(routes) == ((VIRTUAL_HOST.type_url, "r/"),)
    scope = scoped_route_pb2.ScopedRouteConfiguration(name="s", route_configuration_name="r")
    assert SCOPED_ROUTE.references(scope) == ((ROUTE.type_url, "r"),)
