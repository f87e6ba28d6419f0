"""Whether the media ports can be had, asked of the kernel before an Envoy is started.

Envoy shares its UDP ports between its workers (SO_REUSEPORT), so two Envoys that are given the same ports both get
them, and the kernel deals the datagrams out: streams mix, and nobody is told. A plain bind finds out.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Sequence


def check_media_ports(ports: Iterable[int], addresses: Sequence[str]) -> None:
    """Raises OSError that says which port or address cannot be had, and what to do. Binds and closes each in turn."""
    ports = list(ports)
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for port in ports:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind((address, port))
                except OSError as error:
                    raise OSError(_explain(error, address, port)) from error


def _explain(error: OSError, address: str, port: int) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is no address of this machine: choose another --media-address"
    if error.errno == errno.EADDRINUSE:
        return (
            f"media port {port} at {address} is taken, by another mesh or program: choose a range of --media-ports"
            " that is free"
        )
    return f"media port {port} at {address} cannot be had: {error.strerror}"
