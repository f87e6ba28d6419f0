"""Media ports are asked for before Envoy, which would share them with whoever has them."""

from __future__ import annotations

import socket

import pytest

from mesh.attachments import Attachment
from mesh.gateways import Gateway, Listener, SessionPolicy, TransportProtocol, TransportRoute
from mesh.objects import ObjectName
from xds_server.envoy import check_gateway_ports, check_media_ports


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken_is_named_even_if_its_owner_would_share_it(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind((address, 0))
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"media port {port} at {address} is taken.*--media-ports"):
            check_media_ports([port], [address])
    check_media_ports([port], [address])


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(OSError, match=r"192\.0\.2\.77 is no address of this machine.*--media-address"):
        check_media_ports([20000], ["192.0.2.77"])


@pytest.mark.parametrize("protocol", TransportProtocol)
def test_a_taken_port_of_a_gateway_is_named_with_its_listener(protocol: TransportProtocol) -> None:
    kind = socket.SOCK_DGRAM if protocol is TransportProtocol.UDP else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as other:
        # As Envoy shares its ports between its workers.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        attachments = [_attachment(protocol, port)]
        sentence = f'listener "game" of Gateway default/edge: {protocol.value} port {port} at 127.0.0.1 cannot be had'
        with pytest.raises(OSError, match=sentence):
            check_gateway_ports(attachments, ["127.0.0.1"])
    check_gateway_ports(attachments, ["127.0.0.1"])


def _attachment(protocol: TransportProtocol, port: int) -> Attachment:
    listener = Listener(name="game", protocol=protocol, port=port)
    name = ObjectName("default", "edge")
    return Attachment(
        gateway=Gateway(name=name, listeners=(listener,)),
        listener=listener,
        route=TransportRoute(name=name, protocol=protocol, parents=(), backends=()),
        policy=SessionPolicy(idle_timeout=1.0, max_sessions=1),
    )
