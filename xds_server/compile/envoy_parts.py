"""What every UDP listener and every EDS cluster of ours has: buffers, datagram sizes, where endpoints come from.

Envoy API: config.listener.v3.Listener, extensions.filters.udp.udp_proxy.v3.UdpProxyConfig, config.cluster.v3.Cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, config_source_pb2, socket_option_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.udp.udp_proxy.v3 import route_pb2, udp_proxy_pb2
from google.protobuf import any_pb2

# A key frame at camera speed is a burst of hundreds of packets; the kernel's default of 208 KiB drops its end.
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
# Room for the jumbo frames that some encoders send on local links; Envoy's default of 1,500 truncates them.
MAX_DATAGRAM_BYTES = 9000

# From the socket API of Linux; Envoy takes them as numbers.
_SOL_SOCKET = 1
_SO_RCVBUF = 8


def udp_listener(name: str, port: int, addresses: Sequence[str], proxy: Any) -> Any:
    """A Listener on every one of `addresses` (at least one) that hands all to a UdpProxyConfig."""
    listener = listener_pb2.Listener(
        name=name,
        address=udp_address(addresses[0], port),
        additional_addresses=[
            listener_pb2.AdditionalAddress(address=udp_address(address, port)) for address in addresses[1:]
        ],
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
                name="envoy.filters.udp_listener.udp_proxy", typed_config=packed(proxy)
            )
        ],
    )
    listener.udp_listener_config.downstream_socket_config.max_rx_datagram_size.value = MAX_DATAGRAM_BYTES
    # Envoy always lets the kernel join datagrams of one size (UDP_GRO); only with this does it take them apart again.
    listener.udp_listener_config.downstream_socket_config.prefer_gro.value = True
    return listener


def udp_proxy(cluster: str, *, idle_milliseconds: int) -> Any:
    """A UdpProxyConfig that sends every session to `cluster`, by which it is named in statistics too.

    `matcher` rather than the deprecated `cluster`: the one of the two that Envoy means to keep.
    """
    config = udp_proxy_pb2.UdpProxyConfig(stat_prefix=cluster)
    config.idle_timeout.FromMilliseconds(idle_milliseconds)
    config.upstream_socket_config.max_rx_datagram_size.value = MAX_DATAGRAM_BYTES
    config.matcher.on_no_match.action.name = "route"
    config.matcher.on_no_match.action.typed_config.CopyFrom(packed(route_pb2.Route(cluster=cluster)))
    return config


def eds_cluster(name: str) -> Any:
    """A Cluster whose endpoints come by EDS, under its own name."""
    cluster = cluster_pb2.Cluster(name=name, type=cluster_pb2.Cluster.EDS)
    cluster.eds_cluster_config.eds_config.CopyFrom(
        config_source_pb2.ConfigSource(
            ads=config_source_pb2.AggregatedConfigSource(), resource_api_version=config_source_pb2.V3
        )
    )
    return cluster


def udp_address(address: str, port: int) -> Any:
    """An Address of UDP."""
    return _address(address, port, address_pb2.SocketAddress.UDP)


def tcp_address(address: str, port: int) -> Any:
    """An Address of TCP."""
    return _address(address, port, address_pb2.SocketAddress.TCP)


def packed(message: Any) -> any_pb2.Any:
    """The message as an Any."""
    holder = any_pb2.Any()
    holder.Pack(message, deterministic=True)
    return holder


def _address(address: str, port: int, protocol: Any) -> Any:
    return address_pb2.Address(
        socket_address=address_pb2.SocketAddress(protocol=protocol, address=address, port_value=port)
    )
