"""The bootstrap of a media proxy: who it is, where its control plane is, and nothing else; the rest comes by xDS.

Envoy API: config.bootstrap.v3.Bootstrap. What the control plane must know of the process (its workers, how many files
it may open) travels as node metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The node cluster of media proxies; by it the control plane knows what to send.
MEDIA_CLUSTER = "msm-media"
_METADATA_KEY = "mediastreamingmesh.io"
_ADS_CLUSTER = "control-plane"

# A control plane that comes back finds its proxies again within a second, long before it settles.
_RECONNECT = {"base_interval": "0.1s", "max_interval": "1s"}
# A control plane that vanished without a FIN is noticed within interval + timeout.
_KEEPALIVE = {"interval": "10s", "timeout": "5s"}
# TCP reaches a media proxy on its admin socket alone; Envoy warns where nothing bounds it.
_MAX_TCP_CONNECTIONS = 64
_DOWNSTREAM_CONNECTIONS = (
    "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
)
# What each slot counts is most of a slot's memory: keep what people ask for, leave out the rest.
_KEPT_STATS = (
    r"cluster\.slot-\d+-\w+\.(upstream_cx_(tx|rx)_bytes_total|upstream_cx_none_healthy|upstream_cx_overflow"
    r"|membership_total|udp\.sess_(tx|rx)_(datagrams|errors))",
    r"udp\.slot-\d+-\w+\.downstream_sess_(active|rx_datagrams|rx_errors|no_route)",
    r"(server|control_plane|listener_manager|cluster_manager|cluster\.control-plane)\..*",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class XdsTarget:
    """Where the control plane listens: an IP address and TCP port."""

    address: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaProxy:
    """What a media proxy says of itself: worker threads, and how many files (sockets) it may have open.

    `instance` is random, one for each supervisor: of its Envoys only the last one lives.
    """

    workers: int
    files: int
    instance: str


def bootstrap(node_id: str, proxy: MediaProxy, xds: XdsTarget, admin_socket: str) -> dict[str, Any]:
    """The bootstrap as JSON-ready data. `admin_socket` is the path of a Unix socket: reachable by its owner alone."""
    return {
        "node": {
            "id": node_id,
            "cluster": MEDIA_CLUSTER,
            "metadata": {_METADATA_KEY: {"workers": proxy.workers, "files": proxy.files, "instance": proxy.instance}},
        },
        "admin": {"address": {"pipe": {"path": admin_socket, "mode": 0o600}}},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [
                    {
                        "envoy_grpc": {
                            "cluster_name": _ADS_CLUSTER,
                            "retry_policy": {"retry_back_off": _RECONNECT},
                        }
                    }
                ],
            },
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "static_resources": {"clusters": [_control_plane_cluster(xds)]},
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": _DOWNSTREAM_CONNECTIONS,
                        "max_active_downstream_connections": _MAX_TCP_CONNECTIONS,
                    },
                }
            ]
        },
        "stats_config": {
            "stats_matcher": {
                "inclusion_list": {"patterns": [{"safe_regex": {"regex": regex}} for regex in _KEPT_STATS]}
            }
        },
    }


def media_proxy_of(metadata: Mapping[str, Any]) -> MediaProxy | None:
    """What a node's metadata says of the media proxy; None when it is not one that our bootstrap made."""
    ours = metadata.get(_METADATA_KEY)
    try:
        return MediaProxy(workers=int(ours["workers"]), files=int(ours["files"]), instance=str(ours["instance"]))  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        return None


def _control_plane_cluster(xds: XdsTarget) -> dict[str, Any]:
    address = {"socket_address": {"address": xds.address, "port_value": xds.port}}
    http2 = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        "name": _ADS_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": _ADS_CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": http2,
                "explicit_http_config": {"http2_protocol_options": {"connection_keepalive": _KEEPALIVE}},
            }
        },
    }
