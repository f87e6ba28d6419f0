"""Media ports are asked for before Envoy, which would share them with whoever has them."""

from __future__ import annotations

import socket

import pytest

from xds_server.envoy import check_media_ports


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
