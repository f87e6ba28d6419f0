"""Names of slots, and of what is none."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.extensions.filters.udp.udp_proxy.v3 import route_pb2, udp_proxy_pb2

from xds_server.compile.slots import Flow, FlowSource, flow_name, slot_cluster, slot_listener, slot_of
from xds_server.relays.slots import SlotPorts

# From the socket API of Linux.
IPPROTO_IP, IP_MULTICAST_TTL = 0, 33


@pytest.mark.parametrize("flow", Flow)
def test_a_name_tells_its_slot(flow: Flow) -> None:
    assert slot_of(flow_name(17, flow)) == 17


@pytest.mark.parametrize("name", ["gateway/default/edge/slot-1-rtp", "slot-1-rtp/loop", "slot-x-rtp", "slot-1", ""])
def test_other_names_are_no_slots(name: str) -> None:
    assert slot_of(name) is None


def test_datagrams_to_a_group_have_the_time_to_live_that_was_set() -> None:
    ports = SlotPorts(ingress=20000, egress=20002)
    cluster = slot_cluster(0, Flow.RTP, ports, ("192.0.2.1", "2001:db8::1"), multicast_ttl=7)
    options = [(each.level, each.name, each.int_value) for each in cluster.upstream_bind_config.socket_options]
    assert options == [(IPPROTO_IP, IP_MULTICAST_TTL, 7)]


def matcher(source: FlowSource | None) -> Any:
    listener = slot_listener(0, Flow.RTP, SlotPorts(ingress=20000, egress=20002), ("192.0.2.1",), source)
    config = udp_proxy_pb2.UdpProxyConfig()
    assert listener.listener_filters[0].typed_config.Unpack(config)
    return config.matcher


def cluster_of(match: Any) -> str:
    route = route_pb2.Route()
    assert match.action.typed_config.Unpack(route)
    return str(route.cluster)


def only(tree: Any, kind: str) -> tuple[str, Any]:
    """The only text that a tree with an input of this kind matches, and what happens then."""
    assert tree.input.typed_config.TypeName().endswith(f".{kind}")
    ((text, match),) = tree.exact_match_map.map.items()
    return text, match


def test_a_slot_for_anybody_takes_every_datagram() -> None:
    assert cluster_of(matcher(None).on_no_match) == "slot-0-rtp"


def test_a_slot_for_an_address_takes_its_datagrams_and_nobody_elses() -> None:
    found = matcher(FlowSource(address="192.0.2.7", port=None))
    address, match = only(found.matcher_tree, "SourceIPInput")
    assert (address, cluster_of(match)) == ("192.0.2.7", "slot-0-rtp")
    assert not found.HasField("on_no_match")


def test_a_slot_for_a_port_of_an_address_takes_its_datagrams_and_nobody_elses() -> None:
    found = matcher(FlowSource(address="2001:db8::7", port=5000))
    address, inner = only(found.matcher_tree, "SourceIPInput")
    port, match = only(inner.matcher.matcher_tree, "SourcePortInput")
    assert (address, port, cluster_of(match)) == ("2001:db8::7", "5000", "slot-0-rtp")
    assert not found.HasField("on_no_match")
    assert not inner.matcher.HasField("on_no_match")
