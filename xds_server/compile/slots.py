"""Slots as Envoy resources: two UDP listeners and two EDS clusters a slot, one assignment for each cluster.

A listener's udp_proxy sends every session to its cluster; the cluster's upstream sockets have a fixed source port, so
that the receiver sees media come from the port that it was told, and what it sends back there returns to the sender
(symmetric RTP, RFC 4961). Opening a relay changes the two assignments and nothing else, unless it is for one sender
alone: that is a matcher of the listeners, which change where the slot's last relay was for another one.

Envoy API: config.listener.v3.Listener, extensions.filters.udp.udp_proxy.v3.UdpProxyConfig,
config.cluster.v3.Cluster, config.endpoint.v3.ClusterLoadAssignment,
extensions.matching.common_inputs.network.v3.SourceIPInput.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from envoy.config.core.v3 import address_pb2, socket_option_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2

from xds_server.compile.envoy_parts import eds_cluster, packed, udp_address, udp_listener, udp_proxy
from xds_server.relays.slots import SlotPorts

# RTCP keeps a session's return path open: its longest usual interval is 5 s (RFC 3550 section 6.2), with margin for
# players that stretch it. A sender that comes back from another port waits this long at most.
SESSION_IDLE_SECONDS = 30

# From the socket API of Linux; Envoy takes them as numbers.
_IPPROTO_IP = 0
_IP_MULTICAST_TTL = 33

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


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowSource:
    """Whose datagrams a flow takes: an IP address, as Envoy writes it, and a UDP port. None: any port."""

    address: str
    port: int | None


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


def slot_listener(
    slot: int, flow: Flow, ports: SlotPorts, addresses: Sequence[str], source: FlowSource | None = None
) -> Any:
    """The Listener of one flow, on every address of the media proxy (at most one IPv4 and one IPv6). With a `source`
    nobody else's datagrams begin a session."""
    name = flow_name(slot, flow)
    proxy = udp_proxy(name, idle_milliseconds=SESSION_IDLE_SECONDS * 1000)
    if source is not None:
        _take_only(source, proxy.matcher)
    return udp_listener(name, ports.ingress + flow.value, addresses, proxy)


def _take_only(source: FlowSource, matcher: Any) -> None:
    """What `matcher` does with every datagram it does with those of `source`; others match nothing, and are dropped."""
    match = matcher.on_no_match.__class__()
    match.CopyFrom(matcher.on_no_match)
    if source.port is not None:
        inner = matcher.on_no_match.__class__()
        _match_text(inner.matcher, network_inputs_pb2.SourcePortInput(), str(source.port), match)
        match = inner
    matcher.ClearField("on_no_match")
    _match_text(matcher, network_inputs_pb2.SourceIPInput(), source.address, match)


def _match_text(matcher: Any, what: Any, text: str, match: Any) -> None:
    tree = matcher.matcher_tree
    tree.input.name = what.DESCRIPTOR.name
    tree.input.typed_config.CopyFrom(packed(what))
    tree.exact_match_map.map[text].CopyFrom(match)


def slot_cluster(slot: int, flow: Flow, ports: SlotPorts, addresses: Sequence[str], *, multicast_ttl: int) -> Any:
    """The Cluster of one flow: endpoints by EDS, upstream sockets bound to the slot's egress port.

    One session is all that the port can carry, so the cluster admits one: a second sender to the ingress port is
    refused as long as the first is there. To a multicast group, datagrams go with a time to live of `multicast_ttl`, on
    the network of the media proxy's address, or, where that is a wildcard, as the system routes them.
    """
    port = ports.egress + flow.value
    cluster = eds_cluster(flow_name(slot, flow))
    cluster.circuit_breakers.thresholds.add().max_connections.value = 1
    bind = cluster.upstream_bind_config
    bind.source_address.CopyFrom(address_pb2.SocketAddress(address=addresses[0], port_value=port))
    bind.socket_options.append(_multicast_ttl(multicast_ttl))
    for address in addresses[1:]:
        extra = bind.extra_source_addresses.add()
        extra.address.CopyFrom(address_pb2.SocketAddress(address=address, port_value=port))
    return cluster


def _multicast_ttl(hops: int) -> Any:
    """Sockets of IPv6 take it too."""
    return socket_option_pb2.SocketOption(
        description="time to live of multicast",
        level=_IPPROTO_IP,
        name=_IP_MULTICAST_TTL,
        int_value=hops,
        state=socket_option_pb2.SocketOption.STATE_PREBIND,
    )


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
