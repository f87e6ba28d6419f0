"""A backend as Envoy resources: one Cluster named `namespace/name`, its endpoints, and what they are told as password.

Endpoints with IP addresses travel as EDS, so that a change of them changes nothing else. A host name cannot (EDS takes
IP addresses only): such a cluster is STRICT_DNS and carries its endpoints itself.

What RTSP needs to know of an endpoint and Envoy has no field for (its name, the path in front of every path, the
transport, the name of its credentials: all strings) is metadata under `mediastreamingmesh.io`. Credentials themselves
are generic secrets of that name, with the keys `username` and `password`: what is shown of clusters and endpoints
never has a password in it.

Envoy API: config.cluster.v3.Cluster, config.endpoint.v3.ClusterLoadAssignment,
extensions.transport_sockets.tls.v3.Secret.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, NamedTuple

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, base_pb2, config_source_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from google.protobuf import struct_pb2

from mesh.gateways import PolicySettings
from mesh.model import GROUP, Backend, Credentials, Endpoint
from xds_server.compile.backend_tls import set_tls
from xds_server.compile.rtsp_clusters import set_policy


class PolicedBackend(NamedTuple):
    """A backend, and what a policy says of its sessions, if one does."""

    backend: Backend
    policy: PolicySettings | None = None


def compile_backend(policed: PolicedBackend) -> list[Any]:
    """The Cluster of a backend; if its endpoints travel on their own, its ClusterLoadAssignment; its Secrets."""
    messages = _messages(policed.backend)
    if policed.backend.tls is not None:
        set_tls(messages[0], policed.backend.tls)
    if policed.policy is not None:
        set_policy(messages[0], policed.policy)
    return [*messages, *map(_secret, policed.backend.credentials)]


def _messages(backend: Backend) -> list[Any]:
    name = str(backend.name)
    assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    if backend.endpoints:
        assignment.endpoints.add().lb_endpoints.extend(map(_lb_endpoint, backend.endpoints))
    if all(map(_has_ip_address, backend.endpoints)):
        return [_eds_cluster(name), assignment]
    return [_dns_cluster(name, assignment)]


def _eds_cluster(name: str) -> Any:
    cluster = cluster_pb2.Cluster(name=name, type=cluster_pb2.Cluster.EDS)
    source = cluster.eds_cluster_config.eds_config
    source.ads.SetInParent()
    source.resource_api_version = config_source_pb2.V3
    return cluster


def _dns_cluster(name: str, assignment: Any) -> Any:
    return cluster_pb2.Cluster(name=name, type=cluster_pb2.Cluster.STRICT_DNS, load_assignment=assignment)


def _has_ip_address(endpoint: Endpoint) -> bool:
    try:
        ip_address(endpoint.address)
    except ValueError:
        return False
    return True


def _lb_endpoint(endpoint: Endpoint) -> Any:
    address = address_pb2.SocketAddress(address=endpoint.address, port_value=endpoint.port)
    facts = struct_pb2.Struct()
    facts.update({"name": endpoint.name, "path": endpoint.path, "transport": endpoint.transport.value})
    if endpoint.credentials:
        facts["credentials"] = endpoint.credentials
    return endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(address=address_pb2.Address(socket_address=address)),
        metadata=base_pb2.Metadata(filter_metadata={GROUP: facts}),
    )


def _secret(credentials: Credentials) -> Any:
    secret = secret_pb2.Secret(name=credentials.name)
    secret.generic_secret.secrets["username"].inline_string = credentials.username
    secret.generic_secret.secrets["password"].inline_string = credentials.password
    return secret
