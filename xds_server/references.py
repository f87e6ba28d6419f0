"""What a resource points at, of the things that its receiver waits for before it uses the resource.

Only what is asked of the server that sent the resource counts: configuration sources `ads` and `self`. A cluster name
in a route is no reference: a proxy uses such a route at once, and answers for the missing cluster itself.

Envoy API: config.core.v3.ConfigSource, and the messages that hold one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.transport_sockets.quic.v3 import quic_transport_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2

TYPE_URL_PREFIX = "type.googleapis.com/"
ENDPOINTS = TYPE_URL_PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
ROUTES = TYPE_URL_PREFIX + "envoy.config.route.v3.RouteConfiguration"
SECRETS = TYPE_URL_PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret"
EXTENSIONS = TYPE_URL_PREFIX + "envoy.config.core.v3.TypedExtensionConfig"

VIRTUAL_HOSTS = TYPE_URL_PREFIX + "envoy.config.route.v3.VirtualHost"

Reference = tuple[str, str]
"""Type URL and name."""


def no_references(message: Any) -> tuple[Reference, ...]:
    """Of types that wait for nothing."""
    return ()


def references_of_cluster(cluster: Any) -> tuple[Reference, ...]:
    """Its endpoints, and the secrets of its transport sockets."""
    found: list[Reference] = []
    if cluster.type == cluster.EDS and _ours(cluster.eds_cluster_config.eds_config):
        found.append((ENDPOINTS, cluster.eds_cluster_config.service_name or cluster.name))
    sockets = [cluster.transport_socket, *(match.transport_socket for match in cluster.transport_socket_matches)]
    found.extend(reference for socket in sockets for reference in _secrets(socket))
    return _once(found)


def references_of_listener(listener: Any) -> tuple[Reference, ...]:
    """Its routes, the filters that are configured from elsewhere, and the secrets of its transport sockets."""
    found: list[Reference] = list(_extensions(listener.listener_filters))
    chains = [*listener.filter_chains, listener.default_filter_chain]
    for chain in chains:
        found.extend(_secrets(chain.transport_socket))
        found.extend(_extensions(chain.filters))
        for network_filter in chain.filters:
            found.extend(_of_manager(network_filter.typed_config))
    found.extend(_of_manager(listener.api_listener.api_listener))
    return _once(found)


def references_of_route(route: Any) -> tuple[Reference, ...]:
    """The virtual hosts that it has on demand: whichever there are, so the name is the part that they share."""
    return ((VIRTUAL_HOSTS, f"{route.name}/"),) if _ours(route.vhds.config_source) else ()


def references_of_scope(scope: Any) -> tuple[Reference, ...]:
    """The routes of a ScopedRouteConfiguration."""
    return ((ROUTES, scope.route_configuration_name),) if scope.route_configuration_name else ()


def _of_manager(typed_config: Any) -> Iterator[Reference]:
    manager = hcm.HttpConnectionManager()
    if typed_config.Unpack(manager):
        if manager.HasField("rds") and _ours(manager.rds.config_source):
            yield ROUTES, manager.rds.route_config_name
        yield from _extensions(manager.http_filters)


def _extensions(filters: Iterable[Any]) -> Iterator[Reference]:
    for each in filters:
        discovery = each.config_discovery
        if _ours(discovery.config_source) and not discovery.apply_default_config_without_warming:
            yield EXTENSIONS, each.name


def _secrets(socket: Any) -> Iterator[Reference]:
    for context in (tls_pb2.UpstreamTlsContext(), tls_pb2.DownstreamTlsContext()):
        if socket.typed_config.Unpack(context):
            yield from _secrets_of(context.common_tls_context)
    quic = quic_transport_pb2.QuicDownstreamTransport()
    if socket.typed_config.Unpack(quic):
        yield from _secrets_of(quic.downstream_tls_context.common_tls_context)


def _secrets_of(context: Any) -> Iterator[Reference]:
    configs = [*context.tls_certificate_sds_secret_configs, context.validation_context_sds_secret_config]
    configs.append(context.combined_validation_context.validation_context_sds_secret_config)
    for config in configs:
        if config.name and _ours(config.sds_config):
            yield SECRETS, config.name


def _ours(source: Any) -> bool:
    return source.WhichOneof("config_source_specifier") in ("ads", "self")


def _once(found: list[Reference]) -> tuple[Reference, ...]:
    return tuple(dict.fromkeys(found))
