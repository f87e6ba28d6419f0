"""Slots as Envoy resources: two UDP listeners and two EDS clusters a slot, one assignment for each cluster.

A listener's udp_proxy sends every session to its cluster; the cluster's upstream sockets have a fixed source port, so
that the receiver sees media come from the port that it was told, and what it sends back there returns to the sender
(symmetric RTP, RFC 4961). Opening a relay changes the two assignments and nothing else.

Envoy API: config.listener.v3.Listener, extensions.filters.udp.udp_proxy.v3.UdpProxyConfig,
config.cluster.v3.Cluster, config.endpoint.v3.ClusterLoadAssignment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from envoy.config.core.v3 import address_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from xds_server.compile.envoy_parts import eds_cluster, udp_address, udp_listener, udp_proxy
from xds_server.relays.slots import SlotPorts

# RTCP keeps a session's return path open: its longest usual interval is 5 s (RFC 3550 section 6.2), with margin for
# players that stretch it. A sender that comes back from another port waits this long at most.
SESSION_IDLE_SECONDS = 30

_FLOW_NAME = re.compile(r"slot-(\d+)-(?:rtp|rtcp)")


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


def slot_of(name: str) -> int | None:
    """The slot of a name that `flow_name` made; None for any other name."""
    found = _FLOW_NAME.fullmatch(name)
    return None if found is None else int(found[1])


def slot_listener(slot: int, flow: Flow, ports: SlotPorts, addresses: Sequence[str]) -> Any:
    """The Listener of one flow, on every address of the media proxy (at most one IPv4 and one IPv6)."""
    name = flow_name(slot, flow)
    proxy = udp_proxy(name, idle_milliseconds=SESSION_IDLE_SECONDS * 1000)
    return udp_listener(name, ports.ingress + flow.value, addresses, proxy)


def slot_cluster(slot: int, flow: Flow, ports: SlotPorts, addresses: Sequence[str]) -> Any:
    """The Cluster of one flow: endpoints by EDS, upstream sockets bound to the slot's egress port.

    One session is all that the port can carry, so the cluster admits one: a second sender to the ingress port is
    refused as long as the first is there.
    """
    port = ports.egress + flow.value
    cluster = eds_cluster(flow_name(slot, flow))
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
                    endpoint=endpoint_components_pb2.Endpoint(address=udp_address(target.address, target.port))
                )
            ]
        )
    return assignment
