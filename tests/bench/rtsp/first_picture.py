"""Whether a player waits for a key frame: from the answer to PLAY to its first packet, and to its first picture."""

from __future__ import annotations

import selectors
import time
from contextlib import ExitStack
from dataclasses import dataclass

from rtsp_filter.player import PlayTransport
from rtsp_filter.rtp import parse_header
from rtsp_filter.rtp.h264 import NALType, nal_type
from rtsp_filter.rtp.packet import FIXED_HEADER_SIZE
from rtsp_filter.rtsp import FrameAssembler, InterleavedChunk, Pair
from rtsp_filter.udp_ports import LARGEST_DATAGRAM, open_pair
from tests.bench.camera import TRACKS
from tests.bench.client import Client
from tests.bench.figures import Comparison, Figure, Goal, Result, percentile
from tests.bench.mesh import bundled_camera
from tests.bench.rtsp.parts import mesh_in_parts

_WARM_UP = 3
_SLOTS = 128
_SECONDS = 5.0
_FU_A = 28
_TYPE_MASK = 0x1F
# The first track of the bundled camera.
_VIDEO_CHANNEL = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """Milliseconds from PLAY's answer; less than none where media was quicker. `key_frame`: the first packet of video
    began a picture that needs no other."""

    packet: float
    picture: float
    key_frame: bool


class _Watch:
    """Looks at packets of H.264 until a picture that needs no other is complete."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.picture: float | None = None
        self.begins_with_key = False
        self._key = False
        self._timestamp: int | None = None

    def receive(self, packet: bytes) -> None:
        """A packet of video has come."""
        if self.picture is not None:
            return
        now = time.perf_counter()
        header = parse_header(packet)
        key = _is_key(packet[FIXED_HEADER_SIZE:])
        if self.first is None:
            self.first, self._timestamp = now, header.timestamp
        self._key |= key
        self.begins_with_key |= key and header.timestamp == self._timestamp
        if self._key and header.marker:
            self.picture = now


def run(quick: bool) -> Result:
    """Sessions in pairs, one direct and one through the mesh."""
    pairs = 5 if quick else 60
    figures: list[Figure] = []
    with bundled_camera() as direct, mesh_in_parts(direct, slots=_SLOTS) as parts:
        for transport in PlayTransport:
            measured = [(_start(direct, transport), _start(parts.url, transport)) for _ in range(_WARM_UP + pairs)]
            figures += _figures(transport.value.upper(), measured[_WARM_UP:])
    return Result(
        name="picture",
        title="From PLAY to the first picture",
        method=(
            "Milliseconds from the answer to PLAY to the first packet of video and to the last packet of the first"
            f" picture that needs no other, {pairs} pairs of sessions with the bundled camera, each a direct one and"
            " one through the mesh; the overhead is that of the differences of the pairs. Times below none: media came"
            " before the answer was read. Every session has one of its own at the camera, which begins with a key"
            " frame, so nobody waits for the next one, whoever watches already."
        ),
        figures=tuple(figures),
    )


def _figures(label: str, pairs: list[tuple[_Start, _Start]]) -> list[Figure]:
    def compared(what: str, values: list[tuple[float, float]], share: float) -> Figure:
        return Figure(
            what=f"{label}: {what}, p{share:g}",
            unit="ms",
            direct=percentile([direct for direct, _ in values], share),
            mesh=percentile([mesh for _, mesh in values], share),
            comparison=Comparison.DIFFERENCE,
            compared=percentile([mesh - direct for direct, mesh in values], share),
        )

    packets = [(direct.packet, mesh.packet) for direct, mesh in pairs]
    pictures = [(direct.picture, mesh.picture) for direct, mesh in pairs]
    at_once = [sum(each.key_frame for each in side) for side in zip(*pairs, strict=True)]
    return [
        *(compared("first packet", packets, share) for share in (50, 99)),
        *(compared("first picture", pictures, share) for share in (50, 99)),
        Figure(
            what=f"{label}: sessions that begin with a key frame",
            unit="%",
            direct=100 * at_once[0] / len(pairs),
            mesh=100 * at_once[1] / len(pairs),
            goal=Goal(at_least=100),
        ),
    ]


def _start(url: str, transport: PlayTransport) -> _Start:
    watch = _Watch()
    over = _over_udp if transport is PlayTransport.UDP else _over_tcp
    answered = over(url, watch)
    assert watch.first is not None
    assert watch.picture is not None
    return _Start(
        packet=1e3 * (watch.first - answered),
        picture=1e3 * (watch.picture - answered),
        key_frame=watch.begins_with_key,
    )


def _over_tcp(url: str, watch: _Watch) -> float:
    """Play until there is a picture; gives when PLAY was answered."""
    frames = FrameAssembler()

    def take(chunk: InterleavedChunk) -> None:
        for channel, payload in frames.receive_chunk(chunk):
            if channel == _VIDEO_CHANNEL:
                watch.receive(payload)

    with Client(url, PlayTransport.TCP, on_media=take) as client:
        client.play()
        answered = time.perf_counter()
        while watch.picture is None:
            client.read()
        client.teardown()
    return answered


def _over_udp(url: str, watch: _Watch) -> float:
    with ExitStack() as stack:
        pairs = [open_pair(("127.0.0.1", 0)) for _ in range(TRACKS)]
        for sock in (sock for pair in pairs for sock in pair):
            stack.enter_context(sock)
        ports = [Pair(rtp.getsockname()[1], rtcp.getsockname()[1]) for rtp, rtcp in pairs]
        client = stack.enter_context(Client(url, PlayTransport.UDP, ports=ports))
        selector = stack.enter_context(selectors.DefaultSelector())
        video = pairs[0][0]
        selector.register(video, selectors.EVENT_READ)
        client.play()
        answered = time.perf_counter()
        while watch.picture is None:
            if not selector.select(_SECONDS):
                raise RuntimeError(f"{url}: no picture within {_SECONDS:g} s")
            watch.receive(video.recv(LARGEST_DATAGRAM))
        client.teardown()
    return answered


def _is_key(payload: bytes) -> bool:
    """Whether this is a part of a picture that needs no other (RFC 6184, 5.6 and 5.8)."""
    kind = nal_type(payload)
    return (payload[1] & _TYPE_MASK if kind == _FU_A else kind) == NALType.IDR_SLICE
