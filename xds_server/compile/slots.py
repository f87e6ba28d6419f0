"""Slots as Envoy resources: two UDP listeners and two EDS clusters a slot, one assignment for each cluster.

A listener's udp_proxy sends every session to its cluster; the cluster's upstream sockets have a fixed source port, so
that the receiver sees media come from the port that it was told, and what it sends back there returns to the sender
(symmetric RTP, RFC 4961). Opening a relay changes the two assignments and nothing else.

Envoy API: config.listener.v3.Listener, extensions.filters.udp.udp_proxy.v3.UdpProxyConfig,
config.cluster.v3.Cluster, config.endpoint.v3.ClusterLoadAssignment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, config_source_pb2, socket_option_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.udp.udp_proxy.v3 import route_pb2, udp_proxy_pb2
from google.protobuf import any_pb2

from xds_server.relays.slots import SlotPorts

# A key frame at camera speed is a burst of hundreds of packets; the kernel's default of 208 KiB drops its end.
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
# Room for the jumbo frames that some encoders send on local links; Envoy's default of 1,500 truncates them.
MAX_DATAGRAM_BYTES = 9000
# RTCP keeps a session's return path open: its longest usual interval is 5 s (RFC 3550 section 6.2), with margin for
# players that stretch it. A sender that comes back from another port waits this long at most.
SESSION_IDLE_SECONDS = 30

# From the socket API of Linux; Envoy takes them as numbers.
_SOL_SOCKET = 1
_SO_RCVBUF = 8


class Flow(Enum):
    """The two flows of a slot; the value is the offset from the slot's port."""

    RTP = 0
    RTCP = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowTarget:
    """Where a flow's datagrams go: an IP address and a UDP port."""

    address: str
    port: int


def flow_name(slot: int, flow: Flow) -> str:
    """The name of a flow's listener, cluster and assignment, as in `slot-7-rtcp`."""
    return f"slot-{slot}-{flow.name.lower()}"


def slot_names(slot: int) -> tuple[str, str]:
    """The names of both flows of a slot."""
    return flow_name(slot, Flow.RTP), flow_name(slot, Flow.RTCP)


def slot_of(name: str) -> int:
    """The slot of a name that `flow_name` made."""
    return int(name.split("-")[1])


def slot_listener(slot: int, flow: Flow, ports: SlotPorts, addresses: Sequence[str]) -> Any:
    """The Listener of one flow, on every address of the media proxy (at most one IPv4 and one IPv6)."""
    name = flow_name(slot, flow)
    port = ports.ingress + flow.value
    listener = listener_pb2.Listener(
        name=name,
        address=_udp(addresses[0], port),
        additional_addresses=[listener_pb2.AdditionalAddress(address=_udp(address, port)) for address in addresses[1:]],
        socket_options=[
            socket_option_pb2.SocketOption(
                description="receive buffer",
                level=_SOL_SOCKET,
                name=_SO_RCVBUF,
                int_value=RECEIVE_BUFFER_BYTES,
                state=socket_option_pb2.SocketOption.STATE_PREBIND,
            )
        ],
        listener_filters=[
            listener_components_pb2.ListenerFilter(
                name="envoy.filters.udp_listener.udp_proxy", typed_config=_packed(_udp_proxy(name))
            )
        ],
    )
    listener.udp_listener_config.downstream_socket_config.max_rx_datagram_size.value = MAX_DATAGRAM_BYTES
    # Envoy always lets the kernel join datagrams of one size (UDP_GRO); only with this does it take them apart again.
    listener.udp_listener_config.downstream_socket_config.prefer_gro.value = True
    return listener


def slot_cluster(slot: int, flow: Flow, ports: SlotPorts, addresses: Sequence[str]) -> Any:
    """The Cluster of one flow: endpoints by EDS, upstream sockets bound to the slot's egress port.

    One session is all that the port can carry, so the cluster admits one: a second sender to the ingress port is
    refused as long as the first is there.
    """
    port = ports.egress + flow.value
    cluster = cluster_pb2.Cluster(name=flow_name(slot, flow), type=cluster_pb2.Cluster.EDS)
    cluster.eds_cluster_config.eds_config.CopyFrom(
        config_source_pb2.ConfigSource(
            ads=config_source_pb2.AggregatedConfigSource(), resource_api_version=config_source_pb2.V3
        )
    )
    cluster.circuit_breakers.thresholds.add().max_connections.value = 1
    bind = cluster.upstream_bind_config
    bind.source_address.CopyFrom(address_pb2.SocketAddress(address=addresses[0], port_value=port))
    for address in addresses[1:]:
        bind.extra_source_addresses.add().address.CopyFrom(address_pb2.SocketAddress(address=address, port_value=port))
    return cluster


def slot_assignment(slot: int, flow: Flow, target: FlowTarget | None) -> Any:
    """The ClusterLoadAssignment of one flow: its receiver, or nobody."""
    assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name=flow_name(slot, flow))
    if target is not None:
        assignment.endpoints.add(
            lb_endpoints=[
                endpoint_components_pb2.LbEndpoint(
                    endpoint=endpoint_components_pb2.Endpoint(address=_udp(target.address, target.port))
                )
            ]
        )
    return assignment


def _udp_proxy(cluster: str) -> Any:
    """`matcher` rather than the deprecated `cluster`: the one of the two that Envoy means to keep."""
    config = udp_proxy_pb2.UdpProxyConfig(stat_prefix=cluster)
    config.idle_timeout.seconds = SESSION_IDLE_SECONDS
    config.upstream_socket_config.max_rx_datagram_size.value = MAX_DATAGRAM_BYTES
    config.matcher.on_no_match.action.name = "route"
    config.matcher.on_no_match.action.typed_config.CopyFrom(_packed(route_pb2.Route(cluster=cluster)))
    return config


def _udp(address: str, port: int) -> Any:
    return address_pb2.Address(
        socket_address=address_pb2.SocketAddress(
            protocol=address_pb2.SocketAddress.UDP, address=address, port_value=port
        )
    )


def _packed(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
