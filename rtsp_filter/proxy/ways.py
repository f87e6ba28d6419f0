"""How the media of one track gets from the camera's leg of a session to the client's.

Each leg is UDP or TCP, so there are four ways. UDP always passes the media proxy: a relay leads from the camera to the
client, or, where one leg is TCP, to or from this process, which puts datagrams into interleaved frames or takes them
out. TCP to TCP passes through without a look inside (the session itself forwards whole reads).

Life of a way: `prepare` says what to ask of the camera; then either `give_up`, when the camera was not asked or has
refused, or `granted` and `finish`, which says what to tell the client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from rtsp_filter.proxy import transport
from rtsp_filter.proxy.udp_end import UDPEnd
from rtsp_filter.proxy.upstream import Upstream
from rtsp_filter.relays import Allocation, Receiver, Relay, RelayClient, RelayError, RelayFailure
from rtsp_filter.rtsp import LowerTransport, Pair, RTSPError, StatusCode, TransportSpec

# A relay that cannot be had, in RTSP's terms (RFC 2326 section 11.3).
_RELAY_STATUS = {
    RelayFailure.NO_FREE_SLOT: StatusCode.NOT_ENOUGH_BANDWIDTH,
    RelayFailure.MEDIA_PROXY_UNAVAILABLE: StatusCode.SERVICE_UNAVAILABLE,
    RelayFailure.CONTROL_PLANE_UNAVAILABLE: StatusCode.SERVICE_UNAVAILABLE,
    RelayFailure.REFUSED: StatusCode.SERVICE_UNAVAILABLE,
}

T = TypeVar("T")


class FrameSender(Protocol):
    """Whoever takes interleaved frames: the client's connection."""

    def write_frame(self, channel: int, payload: bytes) -> None:
        """Send one frame, or drop it whole where too much waits already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Legs:
    """What ways need of their session. `hold` hears of a relay that is opened, whatever becomes of whoever opened it.
    Channels are those that its other tracks have already."""

    session_id: str
    client_address: str
    client: FrameSender
    upstream: Upstream
    relays: RelayClient
    hold: Callable[[str], None]
    client_channels: tuple[Pair, ...] = ()
    camera_channels: tuple[Pair, ...] = ()


class Way(Protocol):
    """See the module. `channels`: of the camera and of the client, where that leg is TCP."""

    media: str
    relay_id: str | None
    camera_channels: Pair | None
    client_channels: Pair | None

    async def prepare(self) -> TransportSpec:
        """What to ask of the camera. Raises RTSPError."""

    def granted(self, spec: TransportSpec | None) -> None:
        """What the camera said to that; None: nothing."""

    async def finish(self) -> TransportSpec:
        """What to tell the client, once media may flow. Raises RTSPError."""

    def from_client(self, kind: int, payload: bytes) -> None:
        """A frame of the client: 0 is RTP, 1 RTCP."""

    def from_camera(self, kind: int, payload: bytes) -> None:
        """A frame of the camera."""

    def close(self) -> None:
        """Free what this process holds; the relay is given back by the session."""


def make_way(legs: Legs, spec: TransportSpec, upstream: LowerTransport, media: str) -> Way:
    """The way between the client's transport, which `spec` offers, and the camera's."""
    if spec.lower is LowerTransport.UDP:
        return _UDPToUDP(legs, spec, media) if upstream is LowerTransport.UDP else _TCPToUDP(legs, spec, media)
    return _UDPToTCP(legs, spec, media) if upstream is LowerTransport.UDP else _TCPToTCP(legs, spec, media)


class _Way:
    """What all ways share."""

    def __init__(self, legs: Legs, spec: TransportSpec, media: str) -> None:
        self.media = media
        self.relay_id: str | None = None
        self.camera_channels: Pair | None = None
        self.client_channels: Pair | None = None
        self._legs = legs
        self._spec = spec
        self._granted: TransportSpec | None = None

    def granted(self, spec: TransportSpec | None) -> None:
        self._granted = spec
        if self.camera_channels is not None and spec is not None and spec.interleaved is not None:
            self.camera_channels = spec.interleaved

    def from_client(self, kind: int, payload: bytes) -> None:
        raise NotImplementedError

    def from_camera(self, kind: int, payload: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


class _Relayed(_Way):
    """A way through the media proxy."""

    _relay: Relay | None = None
    _allocation: Allocation | None = None

    async def _open(self, receiver: Receiver) -> Allocation:
        relay = self._legs.relays.open(self._legs.session_id, self.media, receiver)
        self._relay, self.relay_id = relay, relay.relay_id
        self._legs.hold(relay.relay_id)
        self._allocation = await _opened(relay.allocated)
        return self._allocation

    async def _ready(self) -> Allocation:
        assert self._relay is not None
        assert self._allocation is not None
        await _opened(self._relay.ready)
        return self._allocation

    def _ask_for_udp(self, allocation: Allocation) -> TransportSpec:
        upstream = self._legs.upstream
        return transport.upstream_udp(self._spec, allocation, upstream.local_address, upstream.peer_address)


class _UDPToUDP(_Relayed):
    """Media never meets this process."""

    async def prepare(self) -> TransportSpec:
        ports = self._spec.client_port
        assert ports is not None
        receiver = Receiver(address=self._legs.client_address, rtp_port=ports.rtp, rtcp_port=ports.rtcp)
        allocation = await self._open(receiver)
        transport.answer_udp(self._spec, None, allocation, self._legs.client_address)  # before the camera is asked
        return self._ask_for_udp(allocation)

    async def finish(self) -> TransportSpec:
        return transport.answer_udp(self._spec, self._granted, await self._ready(), self._legs.client_address)


class _Ended(_Relayed):
    """One end of the relay is here."""

    _end: UDPEnd | None = None

    def _open_end(self, media_address: str) -> UDPEnd:
        try:
            self._end = UDPEnd(media_address)
        except OSError as error:
            raise RTSPError(
                f"this proxy has no UDP ports to turn UDP into TCP with: {error}", status=StatusCode.SERVICE_UNAVAILABLE
            ) from error
        return self._end

    def close(self) -> None:
        if self._end is not None:
            self._end.close()
            self._end = None


class _UDPToTCP(_Ended):
    """A UDP camera for a client over TCP."""

    async def prepare(self) -> TransportSpec:
        self.client_channels = transport.channels(self._spec, self._legs.client_channels)
        addresses = self._legs.relays.media_addresses
        if not addresses:
            raise RTSPError(
                "the camera sends over UDP, which needs a media proxy, and none is known yet",
                status=StatusCode.SERVICE_UNAVAILABLE,
            )
        end = self._open_end(addresses[0])
        ports = end.ports
        allocation = await self._open(Receiver(address=end.address, rtp_port=ports.rtp, rtcp_port=ports.rtcp))
        wanted = self._ask_for_udp(allocation)
        end.connect(allocation.egress_port, self.from_camera)
        return wanted

    async def finish(self) -> TransportSpec:
        assert self.client_channels is not None
        await self._ready()
        return transport.answer_tcp(self._spec, self._granted, self.client_channels)

    def from_camera(self, kind: int, payload: bytes) -> None:
        assert self.client_channels is not None
        self._legs.client.write_frame(self.client_channels[kind], payload)

    def from_client(self, kind: int, payload: bytes) -> None:
        if self._end is not None:
            self._end.send(kind, payload)


class _TCPToUDP(_Ended):
    """A TCP camera for a client over UDP."""

    async def prepare(self) -> TransportSpec:
        ports = self._spec.client_port
        assert ports is not None
        self.camera_channels = transport.free_channels(self._legs.camera_channels)
        receiver = Receiver(address=self._legs.client_address, rtp_port=ports.rtp, rtcp_port=ports.rtcp)
        allocation = await self._open(receiver)
        transport.answer_udp(self._spec, None, allocation, self._legs.client_address)
        self._open_end(allocation.addresses[0]).connect(allocation.ingress_port, self.from_client)
        return transport.upstream_tcp(self._spec, self.camera_channels)

    async def finish(self) -> TransportSpec:
        return transport.answer_udp(self._spec, self._granted, await self._ready(), self._legs.client_address)

    def from_camera(self, kind: int, payload: bytes) -> None:
        if self._end is not None:
            self._end.send(kind, payload)

    def from_client(self, kind: int, payload: bytes) -> None:
        """What the client sent by UDP, which the media proxy passed on."""
        assert self.camera_channels is not None
        self._legs.upstream.send_frame(self.camera_channels[kind], payload)


class _TCPToTCP(_Way):
    """Frames pass through; the camera is asked for the client's own channels, so that nothing needs to change."""

    async def prepare(self) -> TransportSpec:
        self.client_channels = self.camera_channels = transport.channels(self._spec, self._legs.client_channels)
        return transport.upstream_tcp(self._spec, self.client_channels)

    async def finish(self) -> TransportSpec:
        assert self.client_channels is not None
        return transport.answer_tcp(self._spec, self._granted, self.client_channels)


async def _opened(future: asyncio.Future[T]) -> T:
    """A relay's next step. Raises RTSPError in place of RelayError."""
    try:
        return await future
    except RelayError as error:
        raise RTSPError(str(error), status=_RELAY_STATUS[error.reason]) from error
