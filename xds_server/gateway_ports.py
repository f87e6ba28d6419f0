"""Ports of gateways that something else of the same Envoy has: known here, because here the media ports are."""

from __future__ import annotations

from collections.abc import Iterator

from mesh.gateways import TransportProtocol
from mesh.model import Mesh, MeshError
from mesh.ports import PortBook
from xds_server.media import MediaSettings

_MEDIA = "media"


def check_ports(mesh: Mesh, media: MediaSettings) -> None:
    """Raises MeshError that names every listener whose port is taken."""
    taken = list(_taken_ports(mesh, media))
    if taken:
        raise MeshError("; ".join(taken))


def _taken_ports(mesh: Mesh, media: MediaSettings) -> Iterator[str]:
    first, last = media.layout.first_port, media.layout.last_port
    book = PortBook()
    for port in range(first, last + 1) if mesh.gateways else ():
        book.take(TransportProtocol.UDP, port, media.addresses, _MEDIA)
    for gateway in mesh.gateways.values():
        for listener in gateway.listeners:
            owner = f'listener "{listener.name}" of Gateway {gateway.name}'
            other = book.take(listener.protocol, listener.port, gateway.addresses or media.addresses, owner)
            label, wanted = listener.label(gateway.name), f"{listener.protocol.value} port {listener.port}"
            if other == _MEDIA:
                yield (
                    f"{label}: {wanted} is one of the media ports ({first}-{last}); take another, or move those with"
                    " --media-ports"
                )
            elif other is not None:
                yield f"{label}: {other} has {wanted} already"
