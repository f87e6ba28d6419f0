"""What players make of the end of their proxy, behind a load balancer.

GStreamer, VLC and our own connect again when their control connection ends, in mid-play; ffmpeg ends with it, so that
it needs its proxy for as long as that may stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from signal import SIGTERM

import pytest

from rtsp_filter.player import PlayReport
from rtsp_filter.player import play as measure
from tests.peers.balancer import Balancer
from tests.peers.cameras import GstCamera, MsmCamera
from tests.peers.clip import AudioCodec, Clip
from tests.peers.mesh import Mesh
from tests.peers.players import Player, Transport, play
from tests.peers.ports import reserve_ports
from tests.peers.process import Process
from tests.peers.rtsp_wire import eventually

pytestmark = pytest.mark.integration

FRAMES = 200
SECONDS = 40.0
# Ours reports once a second.
KILLED_AFTER_REPORTS = 3
# The session timeout of a proxy, and some.
SESSION_SECONDS = 80.0


@pytest.fixture(params=["bundled", "gst-rtsp-server"])
def camera(request: pytest.FixtureRequest, clips: dict[AudioCodec, Clip]) -> Iterator[MsmCamera | GstCamera]:
    """Cameras whose sessions outlive the connections that made them."""
    if request.param == "bundled":
        with MsmCamera() as bundled:
            yield bundled
    else:
        with GstCamera(clips[AudioCodec.AAC], options=("--lasting",)) as gst:
            yield gst


@asynccontextmanager
async def behind_a_balancer(camera: MsmCamera | GstCamera) -> AsyncIterator[tuple[Mesh, Balancer, Process]]:
    """A mesh with two RTSP proxies, of which the first one gets the players as long as it is there."""
    with Mesh() as mesh, reserve_ports(1) as ports:
        other = f"127.0.0.1:{ports.first}"
        try:
            first = await asyncio.to_thread(start, mesh, camera, other)
            async with Balancer([mesh.rtsp, other]) as balancer:
                yield mesh, balancer, first
        finally:
            await asyncio.to_thread(mesh.close)


def start(mesh: Mesh, camera: MsmCamera | GstCamera, other: str) -> Process:
    control_plane = mesh.serve("--route", f"/live={camera.url}")
    mesh.envoy()
    first = mesh.proxy("--rtsp-node", "first")
    mesh.wait_ready(control_plane)
    second = mesh.start("proxy", "--rtsp", other, "--xds", mesh.xds, "--rtsp-node", "second", "--drain-time", "0")
    second.wait_for_line("connected to the control plane")
    return first


@pytest.mark.parametrize("player", [Player.GSTREAMER, Player.VLC])
async def test_player_that_connects_again_plays_on_when_its_proxy_is_killed(
    player: Player, camera: MsmCamera | GstCamera
) -> None:
    async with behind_a_balancer(camera) as (mesh, balancer, first):
        url = f"rtsp://127.0.0.1:{balancer.port}/live"
        played = await asyncio.to_thread(
            play, player, url, Transport.UDP, frames=FRAMES, halfway=first.kill, timeout=SECONDS
        )
        assert len(played.frames) >= FRAMES
        assert balancer.connections > 1
        await eventually(
            lambda: [item["proxy"] for item in mesh.items("/v1/sessions")] in ([], ["second"]), "it goes on"
        )


async def test_our_own_player_loses_nothing_when_its_proxy_is_killed(camera: MsmCamera | GstCamera) -> None:
    async with behind_a_balancer(camera) as (mesh, balancer, first):
        progress: list[PlayReport] = []

        def kill_halfway(report: PlayReport) -> None:
            progress.append(report)
            if len(progress) == KILLED_AFTER_REPORTS:
                first.kill()

        url = f"rtsp://127.0.0.1:{balancer.port}/live"
        report = await measure(url, seconds=2.0 * KILLED_AFTER_REPORTS, on_progress=kill_halfway)
        assert (report.error, report.reconnections) == (None, balancer.connections - 1)
        assert report.reconnections
        assert [track.lost for track in report.tracks] == [0] * len(report.tracks)
        await eventually(lambda: mesh.items("/v1/sessions") == [], "the end of its session, which it said itself")


@pytest.mark.timeout(30 + SECONDS + SESSION_SECONDS)
async def test_ffmpeg_plays_on_while_its_proxy_drains(camera: MsmCamera | GstCamera) -> None:
    async with behind_a_balancer(camera) as (mesh, balancer, first):
        url = f"rtsp://127.0.0.1:{balancer.port}/live"
        played = await asyncio.to_thread(
            play,
            Player.FFMPEG,
            url,
            Transport.UDP,
            frames=FRAMES,
            halfway=lambda: first.send(SIGTERM),
            timeout=SECONDS,
        )
        assert len(played.frames) >= FRAMES
        assert await asyncio.to_thread(first.wait, 10) == 0
        # A player that is interrupted may hang up without a word: then its session waits for it at the other proxy.
        await eventually(lambda: mesh.items("/v1/sessions") == [], "the end of its session", SESSION_SECONDS)
