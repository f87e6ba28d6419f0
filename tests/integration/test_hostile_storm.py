"""Ten thousand idle connections, hundreds that trickle, floods, and a player that does not read, all at once: sessions
that behave lose nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import quantiles

import pytest

from rtsp_filter.rtsp import LowerTransport
from tests.peers.cameras import MsmCamera
from tests.peers.clip import bundled_clip
from tests.peers.frames import assert_contiguous
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh
from tests.peers.players import Player, Transport, play
from tests.peers.process import Process
from tests.peers.rtsp_wire import RTSPWire, eventually

pytestmark = pytest.mark.integration

IDLE = 10_000
TRICKLING = 500
FLOODING = 4
# Pipelined requests whose answers nobody reads.
DEAF = 4
GATHERING_SECONDS = 30.0
# Of play with everything at once.
STORM_SECONDS = 8.0
RATE = 50
# Of a camera whose player does not read: 3 MB/s, more than every buffer on the way holds.
FAT_RATE, FAT_SIZE = 100, 16_000
# What a good request may take meanwhile, at the 90th percentile. This machine's two processors also run the storm.
SLOWEST_ANSWER = 1.0
# Of the proxy, for a connection that is idle after a request.
IDLE_BYTES = 32 * 1024
FRAMES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A mesh of three processes, and the proxy among them."""

    mesh: Mesh
    proxy: Process

    @property
    def proxy_memory(self) -> int:
        """Resident bytes of the proxy."""
        pages = Path(f"/proc/{self.proxy.pid}/statm").read_text().split()[1]
        return int(pages) * 4096


@asynccontextmanager
async def three_processes(*routes: str) -> AsyncIterator[Scene]:
    with Mesh() as mesh:

        def start() -> Process:
            mesh.serve(*(f"--route={route}" for route in routes))
            mesh.envoy()
            return mesh.proxy()

        proxy = await asyncio.to_thread(start)
        await eventually(mesh.ready, "the mesh was ready")
        try:
            yield Scene(mesh=mesh, proxy=proxy)
        finally:
            await asyncio.to_thread(mesh.close)


@asynccontextmanager
async def storm(mesh: Mesh) -> AsyncIterator[Process]:
    """Everybody who means no good, once they are all there."""
    kinds = {"idle": IDLE, "trickling": TRICKLING, "flooding": FLOODING, "deaf": DEAF}
    options = [f"--{kind}={number}" for kind, number in kinds.items()]
    with Process([sys.executable, "-m", "tests.peers.rtsp_storm", mesh.rtsp, *options]) as process:
        await asyncio.to_thread(process.wait_for_line, "the storm is on", GATHERING_SECONDS)
        yield process
        await asyncio.to_thread(process.stop)


async def answer_times(mesh: Mesh, until: float) -> list[float]:
    """Seconds that a new connection and a request on it took, again and again."""
    loop = asyncio.get_running_loop()
    host, _, port = mesh.rtsp.rpartition(":")
    times = []
    while loop.time() < until:
        start = loop.time()
        wire = await RTSPWire.open(host, int(port))
        response = await wire.ask("DESCRIBE", mesh.url("/live/asked"))
        assert response.status == 200
        times.append(loop.time() - start)
        await wire.close()
        await asyncio.sleep(0.05)
    return times


def assert_lost_nothing(player: MarkedPlayer, seconds: float) -> None:
    """Every packet of every track, in order, and none of anybody else's."""
    assert player.foreign == []
    for number, track in player.tracks.items():
        assert track.numbers == list(range(len(track.numbers))), f"{player.name}, track {number}"
        assert len(track.numbers) > seconds * RATE / 2


def assert_whole_frames_with_a_gap(player: MarkedPlayer) -> None:
    """What waited too long was dropped, but no frame was torn."""
    assert player.foreign == []
    for track in player.tracks.values():
        assert track.numbers == sorted(set(track.numbers))
        assert len(track.numbers) < track.numbers[-1] + 1


@pytest.mark.timeout(120)
async def test_sessions_that_behave_lose_nothing_in_a_storm() -> None:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        camera = await stack.enter_async_context(MarkedCamera(rate=RATE))
        fat = await stack.enter_async_context(MarkedCamera(rate=FAT_RATE, size=FAT_SIZE))
        film = stack.enter_context(MsmCamera())
        routes = (f"/live={camera.url}/", f"/fat={fat.url}/", f"/film={film.url}")
        scene = await stack.enter_async_context(three_processes(*routes))
        mesh = scene.mesh
        good = [
            await stack.enter_async_context(MarkedPlayer(mesh.url(f"/live/good-{lower.value}"), lower))
            for lower in LowerTransport
        ]
        unread = await stack.enter_async_context(MarkedPlayer(mesh.url("/fat/unread"), LowerTransport.TCP))
        unread.wire.stop_reading()
        quiet = await answer_times(mesh, loop.time() + 1)
        before = scene.proxy_memory
        raging = await stack.enter_async_context(storm(mesh))
        grown = scene.proxy_memory - before
        watch = partial(play, Player.FFMPEG, mesh.url("/film"), Transport.TCP, frames=FRAMES)
        watching = asyncio.create_task(asyncio.to_thread(watch))
        times = await answer_times(mesh, loop.time() + STORM_SECONDS)
        watched = await watching
        held = raging.lines[-1]
        print(
            f"{grown / (IDLE + TRICKLING):.0f} bytes of the proxy for each connection of the storm; {held} at its end"
        )
        for what, measured in (("quiet", quiet), ("storm", times)):
            cuts = [1000 * cut for cut in quantiles(measured, n=10)]
            print(f"DESCRIBE on a new connection, {what}: p50 {cuts[4]:.1f} ms, p90 {cuts[8]:.1f} ms")
        unread.wire.read_again()
        sent = fat.session("unread").tracks[0].sent
        await eventually(lambda: any(number > sent for number in unread.tracks[0].numbers), "newer media")
        for player in good:
            gap = max(track.longest_gap for track in player.tracks.values())
            print(f"{player.name}: {player.received} packets, longest gap {1000 * gap:.0f} ms")

    assert int(held.split()[0]) == IDLE
    assert_whole_frames_with_a_gap(unread)
    for player in good:
        assert_lost_nothing(player, STORM_SECONDS)
    assert_contiguous(watched.frames, bundled_clip().frames, minimum=FRAMES)
    assert grown / (IDLE + TRICKLING) < IDLE_BYTES
    assert quantiles(times, n=10)[-1] < SLOWEST_ANSWER
