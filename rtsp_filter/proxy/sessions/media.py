"""The media of one session: a way for each track, the relays that they hold, and frames between two connections.

Where both legs are TCP, whole reads are passed on, with channels translated on the way in; where one is, frames are
taken apart here and each goes to the way of its channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from mesh.gateways import MediaSource
from rtsp_filter.proxy.cameras.upstream import Upstream
from rtsp_filter.proxy.multicast.group_end import CameraGroups
from rtsp_filter.proxy.sessions import transport
from rtsp_filter.proxy.sessions.session_host import Client
from rtsp_filter.proxy.sessions.transport import CameraLeg
from rtsp_filter.proxy.sessions.way import Legs, Way
from rtsp_filter.relays import RelayClient
from rtsp_filter.rtp.splice import Splice
from rtsp_filter.rtsp import FrameAssembler, InterleavedChunk, LowerTransport


class SessionMedia:
    """`lower`: how the client gets (or, where it records, sends) its media. `camera`: how the camera does,
    once it has granted the first track. `ways` are by the camera's URL of the track. Where it is `movable`, another
    camera may take over: media that passes this process is looked at, frame by frame. `source`: whose packets are taken
    over UDP."""

    def __init__(
        self,
        *,
        session_id: str,
        client: Client,
        lower: LowerTransport,
        upstream: Upstream,
        relays: RelayClient,
        groups: CameraGroups,
        movable: bool = False,
        source: MediaSource = MediaSource.ANY,
    ) -> None:
        self.lower = lower
        self.camera: CameraLeg | None = None
        self.ways: dict[str, Way] = {}
        self.relay_ids: set[str] = set()
        self._session_id = session_id
        self._client = client
        self._client_address = client.address
        self._upstream = upstream
        self.relays = relays
        self._groups = groups
        self._client_frames = FrameAssembler()
        self._camera_frames = FrameAssembler()
        self._movable = movable
        self._source = source
        self._heard = False

    @property
    def passes_through(self) -> bool:
        """Whether both legs are TCP, so that frames pass without a look inside."""
        return self.lower is LowerTransport.TCP and self.camera is CameraLeg.TCP and not self._movable

    def legs(self, clock_rate: int) -> Legs:
        """What a new track's way needs; `clock_rate` in Hz."""
        ways = self.ways.values()
        return Legs(
            session_id=self._session_id,
            client_address=self._client_address,
            client=self._client,
            upstream=self._upstream,
            relays=self.relays,
            groups=self._groups,
            hold=self.relay_ids.add,
            release=self.relay_ids.discard,
            client_channels=tuple(way.client_channels for way in ways if way.client_channels is not None),
            camera_channels=tuple(way.camera_channels for way in ways if way.camera_channels is not None),
            splice=Splice(clock_rate) if self._movable else None,
            source=self._source,
        )

    def use(self, upstream_url: str, way: Way) -> None:
        """A track is set up: its media goes this way."""
        self.ways[upstream_url] = way
        self.camera = way.camera
        if self.passes_through:
            self._upstream.on_media = self._pass_on
            self._upstream.on_takes = self._client.camera_takes
            pairs = [
                (each.camera_channels, each.client_channels)
                for each in self.ways.values()
                if each.camera_channels is not None and each.client_channels is not None
            ]
            self._upstream.core.translate_channels(transport.channel_table(pairs))
            self._client.translate_channels(transport.channel_table((ours, camera) for camera, ours in pairs))
        elif self.camera is CameraLeg.TCP:
            self._upstream.on_media = self._from_camera

    def drop(self, way: Way) -> None:
        """The camera does not have this track, so no sender sends to its relay."""
        way.close()
        if way.relay_ids:
            self.relay_ids -= way.relay_ids
            self.relays.close(way.relay_ids, sender_stopped=True)

    def from_client(self, chunk: InterleavedChunk) -> None:
        """What the client sent on the connection that carries its media."""
        if self.passes_through:
            self._upstream.send_media(chunk)
            return
        for channel, payloads in _by_channel(self._client_frames.receive_chunk(chunk)):
            for way in self.ways.values():
                if way.client_channels is not None and channel in way.client_channels:
                    way.from_client(way.client_channels.index(channel), payloads)

    def take_heard(self) -> bool:
        """Whether the camera has sent anything over TCP since the last call."""
        heard, self._heard = self._heard, False
        return heard

    async def opened(self) -> None:
        """Media may flow, of every track. Raises RTSPError where it may not."""
        for way in list(self.ways.values()):  # another connection may set up a track meanwhile
            await way.opened()

    async def vacate(self) -> None:
        """The camera has failed: make room for another one. Raises RTSPError."""
        self._upstream.on_media = self._upstream.on_takes = None
        await asyncio.gather(*(way.vacate() for way in self.ways.values()))

    async def take_over(self, upstream: Upstream, ways: dict[str, Way]) -> None:
        """Another camera has granted every track, which it calls by these URLs. Raises RTSPError."""
        self._upstream = upstream
        self._camera_frames = FrameAssembler()
        self.ways = ways
        if self.camera is CameraLeg.TCP:
            upstream.on_media = self._from_camera
        await asyncio.gather(*(way.refill() for way in ways.values()))

    def _pass_on(self, chunk: InterleavedChunk) -> None:
        self._heard = True
        self._client.write_media(chunk)

    def _from_camera(self, chunk: InterleavedChunk) -> None:
        self._heard = True
        for channel, payloads in _by_channel(self._camera_frames.receive_chunk(chunk)):
            for way in self.ways.values():
                if way.camera_channels is not None and channel in way.camera_channels:
                    way.from_camera(way.camera_channels.index(channel), payloads)

    def leave(self) -> None:
        """Free what this process holds. Relays of tracks that were being set up are nobody else's, and given back."""
        for way in self.ways.values():
            way.close()
        unfinished = self.relay_ids - self._used()
        if unfinished:
            self.relays.close(unfinished, sender_stopped=False)

    def _used(self) -> set[str]:
        """Relays of tracks that are set up."""
        return {relay_id for way in self.ways.values() for relay_id in way.relay_ids}

    def close(self, *, camera_stopped: bool, client_stopped: bool) -> None:
        """Free what this process holds, and give the relays back, each for what is known of its sender: the camera,
        this process, or the client."""
        for way in self.ways.values():
            way.close()
        quiet: set[str] = set()
        for way in self.ways.values():
            quiet |= way.quiet_relays(camera=camera_stopped, client=client_stopped)
        if camera_stopped:
            quiet |= self.relay_ids - self._used()  # of tracks that were being set up
        for relays, stopped in ((self.relay_ids & quiet, True), (self.relay_ids - quiet, False)):
            if relays:
                self.relays.close(relays, sender_stopped=stopped)


def _by_channel(frames: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, list[bytes]]]:
    """Runs of one channel's frames, in order."""
    for channel, run in groupby(frames, key=itemgetter(0)):
        yield channel, [payload for _, payload in run]
