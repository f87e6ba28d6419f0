"""What a way of a track is (see ways.py), what it needs of its session, and what all ways have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mesh.gateways import MediaSource
from rtsp_filter.proxy.cameras.upstream import Upstream
from rtsp_filter.proxy.multicast.group_end import CameraGroups
from rtsp_filter.proxy.sessions.transport import CameraLeg
from rtsp_filter.relays import RelayClient
from rtsp_filter.rtp.splice import Splice
from rtsp_filter.rtsp import Pair, Payload, TransportSpec


class FrameSender(Protocol):
    """Whoever takes interleaved frames: the client's connection."""

    def write_frames(self, channel: int, payloads: Sequence[Payload]) -> None:
        """Send a frame of each payload, or drop them whole where too much waits already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Legs:
    """What ways need of their session. `hold` hears of a relay that is opened, whatever becomes of whoever opened it;
    `release` of one that was given back before its session's end.
    Channels are those that its other tracks have already. With a `splice`, media that passes this process is looked at,
    so that another camera may go on where one was. `source`: whose packets are taken over UDP."""

    session_id: str
    client_address: str
    client: FrameSender
    upstream: Upstream
    relays: RelayClient
    groups: CameraGroups
    hold: Callable[[str], None]
    release: Callable[[str], None]
    client_channels: tuple[Pair, ...] = ()
    camera_channels: tuple[Pair, ...] = ()
    splice: Splice | None = None
    source: MediaSource = MediaSource.ANY


class Way(Protocol):
    """See the module. `channels`: of the camera and of the client, where that leg is TCP."""

    media: str
    camera: CameraLeg
    relay_id: str | None
    camera_channels: Pair | None
    client_channels: Pair | None

    @property
    def resumable(self) -> tuple[TransportSpec, TransportSpec | None] | None:
        """What the client offered and the camera granted, where no process is needed for media; else None."""

    async def prepare(self) -> TransportSpec:
        """What to ask of the camera. Raises RTSPError."""

    def granted(self, spec: TransportSpec | None) -> None:
        """What the camera said to that; None: nothing."""

    def finish(self) -> TransportSpec:
        """What to tell the client, once the camera has granted it. Raises RTSPError."""

    async def opened(self) -> None:
        """Media may flow. Raises RTSPError where it may not."""

    async def vacate(self) -> None:
        """The camera has failed: make room for another sender. Raises RTSPError."""

    def ask_another(self, upstream: Upstream) -> TransportSpec:
        """What to ask of another camera, which sends from now on. Raises RTSPError."""

    async def refill(self) -> None:
        """Media of another camera may flow. Raises RTSPError."""

    def from_client(self, kind: int, payloads: Sequence[Payload]) -> None:
        """Frames of the client: 0 is RTP, 1 RTCP."""

    def from_camera(self, kind: int, payloads: Sequence[Payload]) -> None:
        """Frames of the camera."""

    @property
    def relay_ids(self) -> frozenset[str]:
        """The relays that it holds."""

    def quiet_relays(self, *, camera: bool, client: bool) -> frozenset[str]:
        """Those that nothing more will be sent into, given which of the two has said that it stopped."""

    def close(self) -> None:
        """Free what this process holds; the relay is given back by the session."""


class BaseWay:
    """What both ways share."""

    def __init__(self, legs: Legs, spec: TransportSpec, camera: CameraLeg, media: str) -> None:
        self.media = media
        self.camera = camera
        self.relay_id: str | None = None
        self.camera_channels: Pair | None = None
        self.client_channels: Pair | None = None
        self._legs = legs
        self._spec = spec
        self._granted: TransportSpec | None = None

    @property
    def resumable(self) -> tuple[TransportSpec, TransportSpec | None] | None:
        return None

    def granted(self, spec: TransportSpec | None) -> None:
        self._granted = spec
        if self.camera_channels is not None and spec is not None and spec.interleaved is not None:
            self.camera_channels = spec.interleaved

    async def opened(self) -> None:
        """Nothing is in the way of what passes through this process."""

    async def vacate(self) -> None:
        if self._legs.splice is not None:
            self._legs.splice.next_source()

    async def refill(self) -> None:
        """Whoever sends, it is this process that passes it on."""

    def from_client(self, kind: int, payloads: Sequence[Payload]) -> None:
        """Nobody looks at frames that pass through."""

    def from_camera(self, kind: int, payloads: Sequence[Payload]) -> None:
        """Nobody looks at frames that pass through."""

    @property
    def relay_ids(self) -> frozenset[str]:
        return frozenset() if self.relay_id is None else frozenset({self.relay_id})

    def quiet_relays(self, *, camera: bool, client: bool) -> frozenset[str]:
        return self.relay_ids

    def close(self) -> None:
        """Nothing is held."""


def from_sender(legs: Legs, kind: int, payloads: Sequence[Payload]) -> Sequence[Payload]:
    """What the camera sent as the client gets it; farewells are left out."""
    if legs.splice is None:
        return payloads
    now = asyncio.get_running_loop().time()
    splice = legs.splice
    shown = (splice.report(bytes(each)) if kind else splice.media(bytes(each), now) for each in payloads)
    return [each for each in shown if each]


def from_receiver(legs: Legs, kind: int, payloads: Sequence[Payload]) -> Sequence[Payload]:
    """What the client sent as the camera gets it."""
    if legs.splice is None or not kind:
        return payloads
    return [legs.splice.feedback(bytes(each)) for each in payloads]
