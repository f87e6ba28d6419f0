"""Whose packets a relay takes, as the policy of the backend says it (MediaPolicy, `session.mediaSource`).

Pure. A relay has one sender, the first from whom it gets a packet; what is said here is who may be that. So a camera
that names no port of its own, or a wrong one, is known by its first packet, unless the policy asks for named ports.
"""

from __future__ import annotations

import ipaddress

from mesh.gateways import MediaSource
from rtsp_filter.relays.book import Sender
from rtsp_filter.rtsp import Pair, TransportError, TransportSpec


def sender_at(source: MediaSource, address: str, ports: Pair | None) -> Sender | None:
    """Who may send, of a peer at this IP address that says these ports; None: anybody. Raises TransportError where the
    policy asks for more than is known of it."""
    if source is MediaSource.ANY:
        return None
    if "%" in address:
        raise TransportError(
            f"media from the link-local address {address} cannot be told from others', as the policy wants it"
            " (session.mediaSource); use TCP"
        )
    if source is MediaSource.ADDRESS:
        return Sender(address=address)
    if ports is None or 0 in ports:
        raise TransportError(
            f"{address} does not say from which ports it sends, and the policy takes media from named ports only"
            " (session.mediaSource: AddressAndPorts); use TCP, or mediaSource: Address"
        )
    return Sender(address=address, rtp_port=ports.rtp, rtcp_port=ports.rtcp)


def camera_address(peer_address: str, granted: TransportSpec | None) -> str:
    """Where a camera sends from: the address that its answer names, else that of its connection. A host name says
    nothing here, and a wildcard neither."""
    named = None if granted is None else granted.source
    if named is None:
        return peer_address
    try:
        address = ipaddress.ip_address(named)
    except ValueError:
        return peer_address
    return peer_address if address.is_unspecified else str(address)
