"""The bootstrap of a proxy: who it is, where its control plane is, and what it may use; the rest comes by xDS.

One maker for every Envoy of a mesh: those that `msm up` and `msm envoy` keep running, and those that somebody else
starts with what `msm bootstrap` wrote. What the control plane must know of the process (its workers, how many files
it may open) travels as node metadata.

Envoy API: config.bootstrap.v3.Bootstrap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from mesh.model import GROUP
from xds_server.envoy.identity import WorkloadIdentity, agent_cluster, transport_socket
from xds_server.envoy.overload import overload_manager
from xds_server.envoy.upstreams import SocketPath, TcpAddress, grpc_cluster

MEDIA_CLUSTER = "msm-media"
"""The node cluster of media proxies; by it the control plane knows what to send."""
GATEWAY_CLUSTER = "msm-gateway"
"""The node cluster of proxies that serve gateways alone."""
METADATA_KEY = GROUP
REPORT_INTERVAL = 1.0
"""Seconds between two reports of what a media proxy counts: as coarse as players notice, and a report costs what all
slots have that were ever used."""
_ADS_CLUSTER = "control-plane"

# A control plane that comes back finds its proxies again within a second, long before it settles.
_RECONNECT = {"base_interval": "0.1s", "max_interval": "1s"}
# What each slot counts is most of a slot's memory: keep what people ask for, leave out the rest. What belongs to a
# gateway has a slash in its name.
_KEPT_STATS = (
    r"cluster\.slot-\d+-\w+\.(upstream_cx_(tx|rx)_bytes_total|upstream_cx_none_healthy|upstream_cx_overflow"
    r"|udp\.sess_(tx|rx)_(datagrams|errors))",
    r"udp\.slot-\d+-\w+\.downstream_sess_(active|rx_datagrams|rx_errors|no_route)",
    r"(cluster|udp|tcp|http)\..*/.*",
    r"(server|control_plane|listener_manager|cluster_manager|overload|cluster\.(control-plane|spire_agent))\..*",
)


class ProxyKind(Enum):
    """What a proxy carries; the value is its node cluster."""

    MEDIA = MEDIA_CLUSTER
    """Media of RTSP sessions, through slots that the control plane hands out, and all Gateways."""
    GATEWAY = GATEWAY_CLUSTER
    """Gateways alone: all of them, or one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaProxy:
    """What a proxy says of itself: worker threads, and how many files (sockets) it may have open.

    `instance` is random, one for each supervisor or written file: of its Envoys only the last one lives.
    """

    workers: int
    files: int
    instance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyNode:
    """Who a proxy is (config.core.v3.Node).

    gateway: `namespace/name` of the only Gateway that it serves; None: all. metadata: whatever else it shall say.
    """

    id: str
    kind: ProxyKind
    process: MediaProxy
    region: str = ""
    zone: str = ""
    gateway: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def message(self) -> dict[str, Any]:
        """As config.core.v3.Node."""
        process = self.process
        ours: dict[str, Any] = {"workers": process.workers, "files": process.files, "instance": process.instance}
        if self.gateway is not None:
            ours["gateway"] = self.gateway
        locality = {key: value for key, value in (("region", self.region), ("zone", self.zone)) if value}
        return {
            "id": self.id,
            "cluster": self.kind.value,
            **({"locality": locality} if locality else {}),
            "metadata": {**self.metadata, METADATA_KEY: ours},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """What a bootstrap is made of.

    xds: where the control plane listens.
    admin: where Envoy's admin interface listens; whoever reaches it can end Envoy.
    heap_bytes: how large Envoy's heap may become.
    connections: TCP connections of clients at once.
    identity: for TLS towards the control plane; None: in clear.
    """

    node: ProxyNode
    xds: TcpAddress
    admin: SocketPath | TcpAddress
    heap_bytes: int
    connections: int
    identity: WorkloadIdentity | None = None


def bootstrap(wanted: Bootstrap) -> dict[str, Any]:
    """The bootstrap as data that is ready for JSON or YAML."""
    admin = wanted.admin
    address = admin.message(listening=True) if isinstance(admin, SocketPath) else admin.message()
    return {
        "node": wanted.node.message(),
        "admin": {"address": address},
        "dynamic_resources": {
            "ads_config": _ads(),
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "static_resources": {"clusters": _clusters(wanted)},
        "bootstrap_extensions": [_internal_listeners()],
        "overload_manager": overload_manager(heap_bytes=wanted.heap_bytes, connections=wanted.connections),
        **(_stats() if wanted.node.kind is ProxyKind.MEDIA else {}),
    }


def media_proxy_of(metadata: Mapping[str, Any]) -> MediaProxy | None:
    """What a node's metadata says of the proxy; None when it is not one that our bootstrap made."""
    ours = metadata.get(METADATA_KEY)
    try:
        return MediaProxy(workers=int(ours["workers"]), files=int(ours["files"]), instance=str(ours["instance"]))  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        return None


def _internal_listeners() -> dict[str, Any]:
    """Lets a cluster lead to a listener of the same Envoy, as UDP sessions of gateways with a maximum time need."""
    message = "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener"
    return {"name": "envoy.bootstrap.internal_listener", "typed_config": {"@type": message}}


def _ads() -> dict[str, Any]:
    service = {"cluster_name": _ADS_CLUSTER, "retry_policy": {"retry_back_off": _RECONNECT}}
    return {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": service}],
    }


def _clusters(wanted: Bootstrap) -> list[dict[str, Any]]:
    control_plane = grpc_cluster(_ADS_CLUSTER, wanted.xds)
    if wanted.identity is None:
        return [control_plane]
    return [{**control_plane, "transport_socket": transport_socket(wanted.identity)}, agent_cluster(wanted.identity)]


def _stats() -> dict[str, Any]:
    """What a media proxy counts, and that it tells the control plane (config.metrics.v3.MetricsServiceConfig)."""
    patterns = [{"safe_regex": {"regex": regex}} for regex in _KEPT_STATS]
    sink = {
        "@type": "type.googleapis.com/envoy.config.metrics.v3.MetricsServiceConfig",
        "transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": _ADS_CLUSTER}},
    }
    return {
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": patterns}}},
        "stats_flush_interval": f"{REPORT_INTERVAL:.0f}s",
        "stats_sinks": [{"name": "envoy.stat_sinks.metrics_service", "typed_config": sink}],
    }
