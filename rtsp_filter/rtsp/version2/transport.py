"""The Transport header of RTSP 2.0 (RFC 7826, 18.54): addresses in place of ports.

`dest_addr="host:port"/"host:port"` says what `destination` and `client_port` say in RTSP 1.0, and `src_addr` what
`source` and `server_port` say. GStreamer writes the parameters of 1.0 in messages of 2.0, so both are read.
"""

from __future__ import annotations

import re
from dataclasses import replace

from rtsp_filter.rtsp.transport import Delivery, LowerTransport, Pair, TransportSpec

_PAIR = re.compile(r'"([^"]*)"(?:\s*/\s*"([^"]*)")?')
_ADDRESS = re.compile(r"(?:\[([0-9a-fA-F:.%]+)\]|([^\[\]:]*)):([0-9]{1,5})")
_MAX_PORT = 65535
_MUX = "rtcp-mux"
_DESTINATION = "dest_addr"
_SOURCE = "src_addr"

_Host = str | None


def names_addresses(spec: TransportSpec) -> bool:
    """Whether an entry is written as RTSP 2.0 wants it."""
    return any(_named(text) in (_DESTINATION, _SOURCE) for text in spec.others)


def to_ports(spec: TransportSpec) -> TransportSpec | None:
    """An entry of RTSP 2.0 as RTSP 1.0 has it; None where it cannot be said there.

    Not to be had are RTP and RTCP at different hosts, and both on one port: who offers that alone needs it.
    """
    if any(_named(text) in (_DESTINATION, _SOURCE) and _parse(text) is None for text in spec.others):
        return None
    muxed = any(text.lower() == _MUX for text in spec.others)
    if muxed and any(_named(text) == _DESTINATION and "/" not in text for text in spec.others):
        return None
    found = {_named(text): _parse(text) for text in spec.others}
    others = tuple(text for text in spec.others if _named(text) not in (_DESTINATION, _SOURCE, _MUX))
    spec = replace(spec, others=others)
    if destination := found.get(_DESTINATION):
        host, pair = destination
        multicast = spec.delivery is Delivery.MULTICAST
        spec = (
            replace(spec, destination=host, port=pair)
            if multicast
            else replace(spec, destination=host, client_port=pair)
        )
    if source := found.get(_SOURCE):
        spec = replace(spec, source=source[0], server_port=source[1])
    return spec


def to_addresses(spec: TransportSpec) -> TransportSpec:
    """An entry of RTSP 1.0 as RTSP 2.0 has it."""
    if spec.lower is LowerTransport.TCP:
        return spec
    destination = _format(_DESTINATION, spec.destination, spec.client_port or spec.port)
    source = _format(_SOURCE, spec.source, spec.server_port)
    return replace(
        spec,
        destination=None,
        source=None,
        client_port=None,
        server_port=None,
        port=None,
        others=(*destination, *source, *spec.others),
    )


def _named(text: str) -> str:
    return text.partition("=")[0].strip().lower()


def _parse(text: str) -> tuple[_Host, Pair] | None:
    """Host (None: the peer's own) and ports of a parameter; None where it has no two ports at one host."""
    value = _PAIR.fullmatch(text.partition("=")[2].strip())
    addresses = [_ADDRESS.fullmatch(part) for part in value.groups() if part is not None] if value else []
    hosts = {found[1] or found[2] or None for found in addresses if found}
    ports = [int(found[3]) for found in addresses if found]
    if not ports or len(ports) != len(addresses) or len(hosts) != 1:
        return None
    pair = Pair(ports[0], ports[1] if len(ports) > 1 else ports[0] + 1)
    return (hosts.pop(), pair) if max(pair) <= _MAX_PORT else None


def _format(name: str, host: _Host, pair: Pair | None) -> tuple[str, ...]:
    if pair is None:
        return ()
    written = f"[{host}]" if host and ":" in host else host or ""
    return (f'{name}="{written}:{pair.rtp}"/"{written}:{pair.rtcp}"',)
