"""Ways through the media proxy: a relay leads from the sender to the receiver, either of which may be this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from mesh.gateways import MediaSource
from rtsp_filter.proxy.cameras.upstream import Upstream
from rtsp_filter.proxy.sessions import transport
from rtsp_filter.proxy.sessions.senders import camera_address, sender_at
from rtsp_filter.proxy.sessions.transport import CameraLeg
from rtsp_filter.proxy.sessions.udp_end import UDPEnd
from rtsp_filter.proxy.sessions.way import BaseWay, from_receiver, from_sender
from rtsp_filter.relays import Allocation, Receiver, Relay, RelayError, RelayFailure, Sender
from rtsp_filter.rtsp import LowerTransport, Payload, RTSPError, StatusCode, TransportSpec

# A relay that cannot be had, in RTSP's terms (RFC 2326 section 11.3).
_RELAY_STATUS = {
    RelayFailure.NO_FREE_SLOT: StatusCode.NOT_ENOUGH_BANDWIDTH,
    RelayFailure.MEDIA_PROXY_UNAVAILABLE: StatusCode.SERVICE_UNAVAILABLE,
    RelayFailure.CONTROL_PLANE_UNAVAILABLE: StatusCode.SERVICE_UNAVAILABLE,
    RelayFailure.REFUSED: StatusCode.SERVICE_UNAVAILABLE,
}

T = TypeVar("T")


class Relayed(BaseWay):
    """Through the media proxy. Where a leg is TCP, this process is that end of the relay."""

    _relay: Relay | None = None
    _allocation: Allocation | None = None
    _end: UDPEnd | None = None
    _vacant = False  # leads nowhere, since its camera has failed
    _told: tuple[Receiver | None, Sender | None] = (None, None)  # between whom the relay leads
    _ready: asyncio.Future[None] | None = None  # when it does so

    @property
    def _client_is_here(self) -> bool:
        return self._spec.lower is LowerTransport.TCP

    @property
    def _camera_is_here(self) -> bool:
        return self.camera is not CameraLeg.UDP

    @property
    def resumable(self) -> tuple[TransportSpec, TransportSpec | None] | None:
        return None if self._client_is_here or self._camera_is_here else (self._spec, self._granted)

    def resume(self, relay_id: str, allocation: Allocation, granted: TransportSpec | None) -> None:
        """The relay is there already, and the camera has granted the track."""
        self.relay_id, self._allocation, self._granted = relay_id, allocation, granted

    async def prepare(self) -> TransportSpec:
        legs = self._legs
        if self._spec.lower is LowerTransport.TCP:
            self.client_channels = transport.channels(self._spec, legs.client_channels)
        if self.camera is CameraLeg.TCP:
            self.camera_channels = transport.free_channels(legs.camera_channels)
        allocation = await self._open()
        if not self._client_is_here:
            self._answer(allocation)  # what cannot be answered is not asked for
        return self._question()

    async def _open(self) -> Allocation:
        """A relay, and this process at an end of it, where that is to be."""
        legs = self._legs
        receiver = self._receiver()
        self._told = (None, None) if self._waits_for_ports else (receiver, self._sender())
        self._relay = relay = legs.relays.open(legs.session_id, self.media, *self._told)
        self.relay_id = relay.relay_id
        legs.hold(relay.relay_id)
        self._allocation = allocation = await _opened(relay.allocated)
        if self._client_is_here or self._camera_is_here:
            self._connect_end(allocation)
        return allocation

    def finish(self) -> TransportSpec:
        assert self._allocation is not None
        self._settle()
        return self._answer(self._allocation)

    def _settle(self) -> None:
        """Media is to flow between those who are known now, since the camera has granted the track."""
        assert self._relay is not None
        receiver = self._camera_receiver() if self._leads_to_camera else self._receiver()
        wanted = receiver, self._sender()
        if wanted == self._told:
            self._ready = self._relay.ready
        else:
            self._lead(*wanted)

    async def opened(self) -> None:
        if self._ready is not None:
            await _opened(self._ready)

    async def vacate(self) -> None:
        """One relay takes one sender, and the one before may send on. So there is a new relay, where only the sender
        knows the old one; where the client does, it must have led nowhere before it takes another sender."""
        await super().vacate()
        if self._camera_is_here:
            return
        if self._client_is_here:
            await self._renew()
        elif not self._vacant:
            self._lead(None, self._told[1])
            await self.opened()
            self._vacant = True

    async def _renew(self) -> None:
        assert self.relay_id is not None
        self._close_end()
        self._granted = None  # what the next camera grants is not known yet
        self._legs.relays.close({self.relay_id}, sender_stopped=False)
        self._legs.release(self.relay_id)
        await self._open()

    def ask_another(self, upstream: Upstream) -> TransportSpec:
        self._legs = replace(self._legs, upstream=upstream)
        return self._question()

    async def refill(self) -> None:
        if self._camera_is_here:
            return
        if self._client_is_here:
            self._settle()
        else:
            self._vacant = False
            self._lead(self._receiver(), self._sender())
        await self.opened()

    def _lead(self, receiver: Receiver | None, sender: Sender | None) -> None:
        assert self.relay_id is not None
        self._told = receiver, sender
        self._ready = self._legs.relays.move(self.relay_id, receiver, sender)

    def from_client(self, kind: int, payloads: Sequence[Payload]) -> None:
        self._into_relay(kind, from_receiver(self._legs, kind, payloads))

    def from_camera(self, kind: int, payloads: Sequence[Payload]) -> None:
        self._into_relay(kind, from_sender(self._legs, kind, payloads))

    def quiet_relays(self, *, camera: bool, client: bool) -> frozenset[str]:
        stopped = self._sends_here or (client if self._spec.records else camera)
        return frozenset({self.relay_id}) if stopped and self.relay_id is not None else frozenset()

    def close(self) -> None:
        self._close_end()

    def _close_end(self) -> None:
        if self._end is not None:
            self._end.close()
            self._end = None

    @property
    def _sends_here(self) -> bool:
        return self._client_is_here if self._spec.records else self._camera_is_here

    @property
    def _waits_for_ports(self) -> bool:
        """Whether its sender is a camera, and may send from ports only that it names when it grants the track."""
        camera_sends = not (self._spec.records or self._camera_is_here)
        return camera_sends and self._legs.source is MediaSource.ADDRESS_AND_PORTS

    def _sender(self) -> Sender | None:
        """Whose packets the relay takes, as far as that is known; None: anybody's."""
        legs = self._legs
        if legs.source is MediaSource.ANY:
            return None
        if self._sends_here:
            end = self._own_end()
            return sender_at(legs.source, end.address, end.ports)
        if self._spec.records:
            return sender_at(legs.source, legs.client_address, self._spec.client_port)
        address = camera_address(legs.upstream.peer_address, self._granted)
        return sender_at(legs.source, address, None if self._granted is None else self._granted.server_port)

    @property
    def _leads_to_camera(self) -> bool:
        """Whether the receiver is a UDP port of the camera, which is known only when it has granted the track."""
        return self._spec.records and not self._camera_is_here

    def _receiver(self) -> Receiver | None:
        """Where the relay leads, as far as that is known before the camera is asked."""
        if self._leads_to_camera:
            return None
        if self._spec.records or self._client_is_here:
            end = self._own_end()
            return Receiver(address=end.address, rtp_port=end.ports.rtp, rtcp_port=end.ports.rtcp)
        return self._client_ports()

    def _client_ports(self) -> Receiver:
        ports = self._spec.client_port
        assert ports is not None
        return Receiver(address=self._legs.client_address, rtp_port=ports.rtp, rtcp_port=ports.rtcp)

    def _camera_receiver(self) -> Receiver:
        ports = None if self._granted is None else self._granted.server_port
        if ports is None or 0 in ports:
            raise RTSPError("the camera did not say to which ports it wants media", status=StatusCode.BAD_GATEWAY)
        return Receiver(address=self._legs.upstream.peer_address, rtp_port=ports.rtp, rtcp_port=ports.rtcp)

    def _question(self) -> TransportSpec:
        if self.camera_channels is not None:
            return transport.upstream_tcp(self._spec, self.camera_channels)
        assert self._allocation is not None
        upstream = self._legs.upstream
        return transport.upstream_udp(self._spec, self._allocation, upstream.local_address, upstream.peer_address)

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

    def _own_end(self, allocation: Allocation | None = None) -> UDPEnd:
        """At an address of the relay that is allocated, or, before that, of the media proxy."""
        if self._end is None:
            self._end = _udp_end(self._known_media_address() if allocation is None else allocation.addresses[0])
        return self._end

    def _connect_end(self, allocation: Allocation) -> None:
        """As the receiver, which has its ports already, or as the sender."""
        end = self._own_end(allocation)
        end.connect(allocation.ingress_port if self._sends_here else allocation.egress_port, self._out_of_relay)

    def _into_relay(self, kind: int, payloads: Sequence[Payload]) -> None:
        if self._end is not None:
            self._end.send(kind, [payload for payload in payloads if payload])

    def _out_of_relay(self, kind: int, datagrams: Sequence[Payload]) -> None:
        """What came over UDP goes to the leg that is TCP."""
        if self.client_channels is not None:
            self._legs.client.write_frames(self.client_channels[kind], from_sender(self._legs, kind, datagrams))
        elif self.camera_channels is not None:
            self._legs.upstream.send_frames(self.camera_channels[kind], from_receiver(self._legs, kind, datagrams))


class Through(Relayed):
    """From UDP to UDP, and through this process in between, by two relays: the first leads here, the second from here
    to the client. So another camera's packets may go on as if they were of the one before."""

    _out: Relay | None = None
    _out_allocation: Allocation | None = None
    _out_end: UDPEnd | None = None

    @property
    def _client_is_here(self) -> bool:
        return True

    @property
    def relay_ids(self) -> frozenset[str]:
        return super().relay_ids | self._out_ids

    @property
    def _out_ids(self) -> frozenset[str]:
        return frozenset() if self._out is None else frozenset({self._out.relay_id})

    async def prepare(self) -> TransportSpec:
        legs = self._legs
        question = await super().prepare()
        self._out_end = _udp_end(self._known_media_address())
        sender = sender_at(legs.source, self._out_end.address, self._out_end.ports)
        self._out = legs.relays.open(legs.session_id, self.media, self._client_ports(), sender)
        legs.hold(self._out.relay_id)
        self._out_allocation = allocation = await _opened(self._out.allocated)
        self._answer(allocation)  # what cannot be answered is not asked for
        self._out_end.connect(allocation.ingress_port, self._from_player)
        return question

    async def opened(self) -> None:
        if self._out is not None:
            await _opened(self._out.ready)
        await super().opened()

    def quiet_relays(self, *, camera: bool, client: bool) -> frozenset[str]:
        return super().quiet_relays(camera=camera, client=client) | self._out_ids

    def close(self) -> None:
        super().close()
        if self._out_end is not None:
            self._out_end.close()
            self._out_end = None

    def _answer(self, allocation: Allocation) -> TransportSpec:
        return super()._answer(self._out_allocation or allocation)

    def _out_of_relay(self, kind: int, datagrams: Sequence[Payload]) -> None:
        if self._out_end is not None:
            self._out_end.send(kind, from_sender(self._legs, kind, datagrams))

    def _from_player(self, kind: int, datagrams: Sequence[Payload]) -> None:
        self._into_relay(kind, from_receiver(self._legs, kind, datagrams))


def _udp_end(media_address: str) -> UDPEnd:
    try:
        return UDPEnd(media_address)
    except OSError as error:
        raise RTSPError(
            f"this proxy has no UDP ports for media: {error}", status=StatusCode.SERVICE_UNAVAILABLE
        ) from error


async def _opened(future: asyncio.Future[T]) -> T:
    """A relay's next step, whatever becomes of others who wait for it. Raises RTSPError in place of RelayError."""
    try:
        return await asyncio.shield(future)
    except RelayError as error:
        raise RTSPError(str(error), status=_RELAY_STATUS[error.reason]) from error
