"""What Envoy itself talks gRPC to: static clusters of one endpoint, over TCP or a Unix socket.

Envoy API: config.cluster.v3.Cluster, extensions.upstreams.http.v3.HttpProtocolOptions.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

# Whoever vanished without a FIN is noticed within interval + timeout.
_KEEPALIVE = {"interval": "10s", "timeout": "5s"}
_HTTP2 = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# A socket of ours is for its owner alone.
_SOCKET_MODE = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpAddress:
    """An IP address (without brackets) or host name, and a TCP port."""

    host: str
    port: int

    @property
    def is_name(self) -> bool:
        """Must the host be resolved?"""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return True
        return False

    def message(self) -> dict[str, Any]:
        """As config.core.v3.Address."""
        return {"socket_address": {"address": self.host, "port_value": self.port}}


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketPath:
    """A Unix socket, by its path."""

    path: str

    def message(self, *, listening: bool = False) -> dict[str, Any]:
        """As config.core.v3.Address; `listening` where Envoy makes the socket, for its owner alone."""
        return {"pipe": {"path": self.path, "mode": _SOCKET_MODE} if listening else {"path": self.path}}


def grpc_cluster(name: str, address: TcpAddress | SocketPath) -> dict[str, Any]:
    """A cluster that speaks HTTP/2; a host name is resolved again every few seconds, to IPv4 and IPv6."""
    named = isinstance(address, TcpAddress) and address.is_name
    discovery = {"type": "STRICT_DNS", "dns_lookup_family": "ALL"} if named else {"type": "STATIC"}
    return {
        "name": name,
        **discovery,
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address.message()}}]}],
        },
        "typed_extension_protocol_options": {
            _HTTP2: {
                "@type": f"type.googleapis.com/{_HTTP2}",
                "explicit_http_config": {"http2_protocol_options": {"connection_keepalive": _KEEPALIVE}},
            }
        },
    }
