"""Whether the ports of media and gateways can be had, asked of the kernel before an Envoy is started.

Envoy shares its UDP ports between its workers (SO_REUSEPORT), so two Envoys that are given the same ports both get
them, and the kernel deals the datagrams out: streams mix, and nobody is told. A plain bind finds out.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Sequence

from mesh.attachments import Attachment
from mesh.gateways import TransportProtocol

_KINDS = {TransportProtocol.UDP: socket.SOCK_DGRAM, TransportProtocol.TCP: socket.SOCK_STREAM}


def check_media_ports(ports: Iterable[int], addresses: Sequence[str]) -> None:
    """Raises OSError that says which port or address cannot be had, and what to do. Binds and closes each in turn."""
    ports = list(ports)
    for address in addresses:
        for port in ports:
            error = _try(address, port, socket.SOCK_DGRAM)
            if error is not None:
                raise OSError(_explain(error, address, port)) from error


def check_gateway_ports(attachments: Iterable[Attachment], default_addresses: Sequence[str]) -> None:
    """As `check_media_ports`, for listeners that have a route; `default_addresses` are for gateways that name none."""
    for attachment in attachments:
        gateway, listener = attachment.gateway, attachment.listener
        for address in gateway.addresses or default_addresses:
            error = _try(address, listener.port, _KINDS[listener.protocol])
            if error is not None:
                port = f"{listener.protocol.value} port {listener.port} at {address}"
                raise OSError(f"{listener.label(gateway.name)}: {port} cannot be had: {error.strerror}") from error


def _try(address: str, port: int, kind: socket.SocketKind) -> OSError | None:
    """Why a port cannot be had; None when it can."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind is socket.SOCK_STREAM:  # connections that have ended do not count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # "::" is for IPv6 alone, as it is for Envoy
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error
    return None


def _explain(error: OSError, address: str, port: int) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is no address of this machine: choose another --media-address"
    if error.errno == errno.EADDRINUSE:
        return (
            f"media port {port} at {address} is taken, by another mesh or program: choose a range of --media-ports"
            " that is free"
        )
    return f"media port {port} at {address} cannot be had: {error.strerror}"
