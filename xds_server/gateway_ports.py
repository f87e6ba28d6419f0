"""Ports of gateways that something else of the same Envoy has: known here, because here the media ports are."""

from __future__ import annotations

from collections.abc import Iterator

from mesh.attachments import overlap
from mesh.gateways import TransportProtocol
from mesh.model import Mesh, MeshError
from xds_server.media import MediaSettings


def check_ports(mesh: Mesh, media: MediaSettings) -> None:
    """Raises MeshError that names every listener whose port is taken."""
    taken = list(_taken_ports(mesh, media))
    if taken:
        raise MeshError("; ".join(taken))


def _taken_ports(mesh: Mesh, media: MediaSettings) -> Iterator[str]:
    ports = range(media.layout.first_port, media.layout.last_port + 1)
    seen: dict[tuple[TransportProtocol, int], list[tuple[str, tuple[str, ...]]]] = {}
    for gateway in mesh.gateways.values():
        addresses = gateway.addresses or media.addresses
        for listener in gateway.listeners:
            label = f'listener "{listener.name}" of Gateway {gateway.name}'
            is_media = listener.protocol is TransportProtocol.UDP and listener.port in ports
            if is_media and overlap(addresses, media.addresses):
                yield (
                    f"{label}: UDP port {listener.port} is one of the media ports ({ports[0]}-{ports[-1]}); take"
                    " another, or move those with --media-ports"
                )
            others = seen.setdefault((listener.protocol, listener.port), [])
            for other, taken in others:
                if overlap(addresses, taken):
                    yield f"{label}: {other} has {listener.protocol.value} port {listener.port} already"
            others.append((label, addresses))
