"""The mesh's Envoys: the bootstrap that makes one a proxy of the mesh, and the process that keeps one running."""

from xds_server.envoy.bootstrap import (
    GATEWAY_CLUSTER,
    MEDIA_CLUSTER,
    METADATA_KEY,
    Bootstrap,
    MediaProxy,
    ProxyKind,
    ProxyNode,
    bootstrap,
    media_proxy_of,
)
from xds_server.envoy.identity import SPIFFE_SCHEME, WorkloadIdentity
from xds_server.envoy.preflight import check_gateway_ports, check_media_ports
from xds_server.envoy.process import EnvoyProcess
from xds_server.envoy.upstreams import SocketPath, TcpAddress

__all__ = [
    "GATEWAY_CLUSTER",
    "MEDIA_CLUSTER",
    "METADATA_KEY",
    "SPIFFE_SCHEME",
    "Bootstrap",
    "EnvoyProcess",
    "MediaProxy",
    "ProxyKind",
    "ProxyNode",
    "SocketPath",
    "TcpAddress",
    "WorkloadIdentity",
    "bootstrap",
    "check_gateway_ports",
    "check_media_ports",
    "media_proxy_of",
]
