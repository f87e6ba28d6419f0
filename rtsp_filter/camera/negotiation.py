"""SETUP's Transport header → where a track goes, and the header that says so (RFC 2326, 12.39)."""

from __future__ import annotations

from dataclasses import dataclass

from rtsp_filter.camera.session import SocketAddress, Target, TCPTarget, UDPTarget
from rtsp_filter.rtsp import (
    Delivery,
    LowerTransport,
    Pair,
    RTSPError,
    StatusCode,
    TransportError,
    TransportSpec,
    parse_transports,
)

_CHANNELS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A control connection: its number, the player's socket address, the camera's own address on it, and the UDP
    ports that media comes from there."""

    connection: int
    remote: SocketAddress
    local: str
    server_ports: Pair

    def remote_port(self, port: int) -> SocketAddress:
        """Another port of the player; an IPv6 scope stays."""
        if len(self.remote) == 4:
            return (self.remote[0], port, self.remote[2], self.remote[3])
        return (self.remote[0], port)


def negotiate(offer: str, peer: Peer, taken: set[int], ssrc: int) -> tuple[Target, TransportSpec]:
    """The first offer that can be met, and its answer. `taken` are the connection's channels in use.

    Raises TransportError (461) when none can; RTSPError (403) for media sent to a third party.
    """
    for spec in parse_transports(offer):
        if not _usable(spec):
            continue
        if spec.destination not in (None, peer.remote[0]):
            raise RTSPError("media goes only to the player itself", status=StatusCode.FORBIDDEN)
        if spec.lower is LowerTransport.TCP:
            return _interleaved(spec, peer, taken, ssrc)
        if spec.client_port is not None and min(spec.client_port) > 0:
            return _udp(spec.client_port, peer, ssrc)
    raise TransportError("none of the offered transports can be used")


def _usable(spec: TransportSpec) -> bool:
    mode = (spec.mode or "play").strip('"').lower()
    return spec.profile == "RTP/AVP" and spec.delivery is Delivery.UNICAST and mode == "play"


def _udp(ports: Pair, peer: Peer, ssrc: int) -> tuple[Target, TransportSpec]:
    target = UDPTarget(local=peer.local, rtp=peer.remote_port(ports.rtp), rtcp=peer.remote_port(ports.rtcp))
    return target, TransportSpec(client_port=ports, server_port=peer.server_ports, ssrc=f"{ssrc:08X}")


def _interleaved(spec: TransportSpec, peer: Peer, taken: set[int], ssrc: int) -> tuple[Target, TransportSpec]:
    channels = spec.interleaved or _free_channels(taken)
    if channels.rtp == channels.rtcp or taken.intersection(channels):
        raise TransportError(f"interleaved channels {channels} are in use")
    answer = TransportSpec(lower=LowerTransport.TCP, interleaved=channels, ssrc=f"{ssrc:08X}")
    return TCPTarget(connection=peer.connection, channels=channels), answer


def _free_channels(taken: set[int]) -> Pair:
    for channel in range(0, _CHANNELS, 2):
        if not taken.intersection((channel, channel + 1)):
            return Pair(channel, channel + 1)
    raise TransportError("every interleaved channel is in use")
