"""The tracks of a shadow session: set up one after the other, their media received and counted.

Media comes interleaved in the connection, or by UDP to sockets of the proxy's own where the backend says UDP, or says
nothing and the camera refuses TCP; beside a connection that is encrypted or tunnelled there is no UDP. It does not pass
Envoy: there is nobody to carry it to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mesh.model import BackendTransport
from rtsp_filter.player.errors import SessionFailedError
from rtsp_filter.player.negotiation import (
    PlayerTrack,
    Presentation,
    granted_transport,
    interleaved_transports,
    make_tracks,
    require_ok,
)
from rtsp_filter.player.sockets import PortPair
from rtsp_filter.player.track import TrackReceiver
from rtsp_filter.proxy.cameras.upstream import Upstream
from rtsp_filter.rtsp import (
    FrameAssembler,
    InterleavedChunk,
    LowerTransport,
    Method,
    Request,
    Response,
    StatusCode,
    TransportSpec,
)

_LOWERS = {
    BackendTransport.UDP: (LowerTransport.UDP,),
    BackendTransport.TCP: (LowerTransport.TCP,),
    BackendTransport.AUTO: (LowerTransport.TCP, LowerTransport.UDP),
}


AskSetup = Callable[[str, TransportSpec], Awaitable[Response]]
"""Asks the camera for the track of a URL. Raises UpstreamError where no answer comes."""


class ShadowTracks:
    """Of one session. `receivers` are those of the tracks that are set up."""

    def __init__(self, upstream: Upstream, transport: BackendTransport) -> None:
        self.receivers: list[TrackReceiver] = []
        self._upstream = upstream
        self._lowers = (LowerTransport.TCP,) if upstream.access.interleaved_only else _LOWERS.get(transport, ())
        self._ports: list[PortPair] = []
        self._frames = FrameAssembler()
        self._receive_on: dict[int, Callable[[bytes, float], None]] = {}
        self._loop = asyncio.get_running_loop()
        upstream.on_media = self._take_frames

    async def set_up(self, offer: Presentation, ask: AskSetup) -> None:
        """All tracks. Raises RTSPError, SessionFailedError, or OSError for want of ports."""
        if not self._lowers:
            raise SessionFailedError("the backend wants a transport by which no shadow session receives")
        transports = interleaved_transports(len(offer.media))
        # Nothing is said by RTCP: requests are signs of life enough, and nobody needs the round trip.
        for track in make_tracks(offer, transports, ssrc=0, cname=""):
            await self._set_up(track, ask)
            self.receivers.append(track.receiver)

    def close(self) -> None:
        """Free the ports."""
        for pair in self._ports:
            pair.close()

    async def _set_up(self, track: PlayerTrack, ask: AskSetup) -> None:
        """One track, by the first transport that the camera takes; for what it has refused it is not asked again."""
        lower = self._lowers[0]
        pair = self._new_pair() if lower is LowerTransport.UDP else None
        wanted = track.transport if pair is None else TransportSpec(client_port=pair.ports)
        response = await ask(track.url, wanted)
        if response.status == StatusCode.UNSUPPORTED_TRANSPORT and len(self._lowers) > 1:
            self._lowers = self._lowers[1:]
            await self._set_up(track, ask)
            return
        require_ok(Request(method=Method.SETUP, url=track.url), response)
        self._receive(track.receiver, pair, granted_transport(wanted, response))

    def _new_pair(self) -> PortPair:
        pair = PortPair((self._upstream.local_address, 0))
        self._ports.append(pair)
        return pair

    def _receive(self, receiver: TrackReceiver, pair: PortPair | None, granted: TransportSpec) -> None:
        """Count what comes the way that was granted, and from the camera."""
        if pair is not None:
            sender = self._upstream.peer_address
            pair.start(self._loop, rtp=receiver.rtp_received, rtcp=receiver.rtcp_received, sender=sender)
        elif granted.interleaved is not None:
            self._receive_on[granted.interleaved.rtp] = receiver.rtp_received
            self._receive_on[granted.interleaved.rtcp] = receiver.rtcp_received

    def _take_frames(self, chunk: InterleavedChunk) -> None:
        now = self._loop.time()
        for channel, payload in self._frames.receive_chunk(chunk):
            receive = self._receive_on.get(channel)
            if receive is not None:
                receive(payload, now)
