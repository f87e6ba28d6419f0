"""How the media of one track gets from one leg of a session to the other.

Each leg is UDP or TCP, and media runs from the camera to the client or, where the client records, the other way. UDP
always passes the media proxy: a relay leads from the sender to the receiver, or, where one leg is TCP, to or from this
process, which puts datagrams into interleaved frames or takes them out. TCP to TCP passes through without a look inside
(the session itself forwards whole reads).

Life of a way: `prepare` says what to ask of the camera; then either the session gives it up, when the camera was not
asked or has refused, or `granted` and `finish`, which says what to tell the client.
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

    def sender_stopped(self, *, camera: bool, client: bool) -> bool:
        """Whether nothing more will be sent into the relay, given which of the two has said that it stopped."""

    def close(self) -> None:
        """Free what this process holds; the relay is given back by the session."""


def make_way(legs: Legs, spec: TransportSpec, upstream: LowerTransport, media: str) -> Way:
    """The way between the client's transport, which `spec` offers, and the camera's."""
    if spec.lower is upstream is LowerTransport.TCP:
        return _PassedThrough(legs, spec, upstream, media)
    return _Relayed(legs, spec, upstream, media)


class _Way:
    """What both ways share."""

    def __init__(self, legs: Legs, spec: TransportSpec, upstream: LowerTransport, media: str) -> None:
        self.media = media
        self.relay_id: str | None = None
        self.camera_channels: Pair | None = None
        self.client_channels: Pair | None = None
        self._legs = legs
        self._spec = spec
        self._upstream = upstream
        self._granted: TransportSpec | None = None

    def granted(self, spec: TransportSpec | None) -> None:
        self._granted = spec
        if self.camera_channels is not None and spec is not None and spec.interleaved is not None:
            self.camera_channels = spec.interleaved

    def from_client(self, kind: int, payload: bytes) -> None:
        """Nobody looks at frames that pass through."""

    def from_camera(self, kind: int, payload: bytes) -> None:
        """Nobody looks at frames that pass through."""

    def sender_stopped(self, *, camera: bool, client: bool) -> bool:
        return True

    def close(self) -> None:
        """Nothing is held."""


class _PassedThrough(_Way):
    """The camera is asked for the client's own channels, so that nothing needs to change."""

    async def prepare(self) -> TransportSpec:
        self.client_channels = self.camera_channels = transport.channels(self._spec, self._legs.client_channels)
        return transport.upstream_tcp(self._spec, self.client_channels)

    async def finish(self) -> TransportSpec:
        assert self.client_channels is not None
        return transport.answer_tcp(self._spec, self._granted, self.client_channels)


class _Relayed(_Way):
    """Through the media proxy. Where a leg is TCP, this process is that end of the relay."""

    _relay: Relay | None = None
    _allocation: Allocation | None = None
    _end: UDPEnd | None = None

    @property
    def _client_is_here(self) -> bool:
        return self._spec.lower is LowerTransport.TCP

    @property
    def _camera_is_here(self) -> bool:
        return self._upstream is LowerTransport.TCP

    async def prepare(self) -> TransportSpec:
        legs = self._legs
        if self._client_is_here:
            self.client_channels = transport.channels(self._spec, legs.client_channels)
        if self._camera_is_here:
            self.camera_channels = transport.free_channels(legs.camera_channels)
        receiver = self._receiver()
        self._relay = relay = legs.relays.open(legs.session_id, self.media, receiver)
        self.relay_id = relay.relay_id
        legs.hold(relay.relay_id)
        self._allocation = allocation = await _opened(relay.allocated)
        if not self._client_is_here:
            self._answer(allocation)  # what cannot be answered is not asked for
        if self._client_is_here or self._camera_is_here:
            self._connect_end(allocation)
        return self._question(allocation)

    async def finish(self) -> TransportSpec:
        assert self._relay is not None
        assert self._allocation is not None
        ready = self._relay.ready
        if self._leads_to_camera:
            ready = self._legs.relays.move(self._relay.relay_id, self._camera_receiver())
        await _opened(ready)
        return self._answer(self._allocation)

    def from_client(self, kind: int, payload: bytes) -> None:
        self._into_relay(kind, payload)

    def from_camera(self, kind: int, payload: bytes) -> None:
        self._into_relay(kind, payload)

    def sender_stopped(self, *, camera: bool, client: bool) -> bool:
        if self._spec.records:
            return client or self._client_is_here
        return camera or self._camera_is_here

    def close(self) -> None:
        if self._end is not None:
            self._end.close()
            self._end = None

    @property
    def _leads_to_camera(self) -> bool:
        """Whether the receiver is a UDP port of the camera, which is known only when it has granted the track."""
        return self._spec.records and not self._camera_is_here

    def _receiver(self) -> Receiver | None:
        """Where the relay leads, as far as that is known before the camera is asked."""
        if self._leads_to_camera:
            return None
        if self._spec.records or self._client_is_here:
            end = self._open_end(self._known_media_address())
            return Receiver(address=end.address, rtp_port=end.ports.rtp, rtcp_port=end.ports.rtcp)
        ports = self._spec.client_port
        assert ports is not None
        return Receiver(address=self._legs.client_address, rtp_port=ports.rtp, rtcp_port=ports.rtcp)

    def _camera_receiver(self) -> Receiver:
        ports = None if self._granted is None else self._granted.server_port
        if ports is None or 0 in ports:
            raise RTSPError("the camera did not say to which ports it wants media", status=StatusCode.BAD_GATEWAY)
        return Receiver(address=self._legs.upstream.peer_address, rtp_port=ports.rtp, rtcp_port=ports.rtcp)

    def _question(self, allocation: Allocation) -> TransportSpec:
        if self.camera_channels is not None:
            return transport.upstream_tcp(self._spec, self.camera_channels)
        upstream = self._legs.upstream
        return transport.upstream_udp(self._spec, allocation, upstream.local_address, upstream.peer_address)

    def _answer(self, allocation: Allocation) -> TransportSpec:
        if self.client_channels is not None:
            return transport.answer_tcp(self._spec, self._granted, self.client_channels)
        return transport.answer_udp(self._spec, self._granted, allocation, self._legs.client_address)

    # The end that is here

    def _known_media_address(self) -> str:
        addresses = self._legs.relays.media_addresses
        if not addresses:
            raise RTSPError(
                "UDP on one side only needs a media proxy, and none is known yet", status=StatusCode.SERVICE_UNAVAILABLE
            )
        return addresses[0]

    def _open_end(self, media_address: str) -> UDPEnd:
        try:
            self._end = UDPEnd(media_address)
        except OSError as error:
            raise RTSPError(
                f"this proxy has no UDP ports to turn UDP into TCP with: {error}", status=StatusCode.SERVICE_UNAVAILABLE
            ) from error
        return self._end

    def _connect_end(self, allocation: Allocation) -> None:
        """As the receiver, which has its ports already, or as the sender."""
        receives = self._end is not None
        end = self._end or self._open_end(allocation.addresses[0])
        end.connect(allocation.egress_port if receives else allocation.ingress_port, self._out_of_relay)

    def _into_relay(self, kind: int, payload: bytes) -> None:
        if self._end is not None:
            self._end.send(kind, payload)

    def _out_of_relay(self, kind: int, datagram: bytes) -> None:
        """What came over UDP goes to the leg that is TCP."""
        if self.client_channels is not None:
            self._legs.client.write_frame(self.client_channels[kind], datagram)
        elif self.camera_channels is not None:
            self._legs.upstream.send_frame(self.camera_channels[kind], datagram)


async def _opened(future: asyncio.Future[T]) -> T:
    """A relay's next step. Raises RTSPError in place of RelayError."""
    try:
        return await future
    except RelayError as error:
        raise RTSPError(str(error), status=_RELAY_STATUS[error.reason]) from error
