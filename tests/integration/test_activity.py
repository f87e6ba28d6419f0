"""What the media proxy sees: media that falls silent and comes again, and receivers that are heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import capture_logs

from rtsp_filter.proxy import ProxyLimits, RTSPProxy
from rtsp_filter.rtsp import LowerTransport
from tests.peers.eventually import eventually
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.marks import Mark, receiver_report
from tests.peers.mesh import Mesh
from tests.peers.ports import reserve_ports
from tests.peers.rtsp_proxy import running_proxy
from tests.peers.rtsp_wire import eventually as until
from tests.peers.udp_pair import UDPPair
from xds_server.relays.activity import SILENT_AFTER

pytestmark = pytest.mark.integration

# Half of it is the time to come back.
SESSION_TIMEOUT = 8
GRACE = ProxyLimits(session_timeout=SESSION_TIMEOUT).resume_grace
# What is counted is told once a second, and known at its second report at the latest.
REPORTS = 2.0
MARGIN = 3.0

DOCUMENTS = """\
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {{name: cameras}}
spec:
  endpoints:
  - {{name: one, address: 127.0.0.1, port: {one}, transport: udp}}
  - {{name: other, address: 127.0.0.1, port: {other}, transport: udp}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: MediaPolicy
metadata: {{name: cameras}}
spec:
  targetRefs: [{{kind: Backend, name: cameras}}]
  ejection: {{failures: 1, baseTime: 60s}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {{name: cameras}}
spec:
  rules:
  - matches: [{{path: {{type: PathPrefix, value: /balanced}}}}]
    filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /}}}}}}]
    backendRefs: [{{kind: Backend, name: cameras}}]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A mesh whose RTSP proxy and cameras the tests run: `one` is behind /live, and both are behind /balanced."""

    mesh: Mesh
    one: int
    other: int

    def camera(self) -> MarkedCamera:
        return MarkedCamera(port=self.one)

    async def relays(self) -> list[dict[str, Any]]:
        return await asyncio.to_thread(self.mesh.items, "/v1/relays")

    async def become(self, activity: str, timeout: float) -> None:
        """Wait until every relay's media does this."""

        async def reached() -> bool:
            relays = await self.relays()
            return bool(relays) and all(relay["activity"] == activity for relay in relays)

        await eventually(reached, timeout, f"{activity} media")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("routes")
    with reserve_ports(2) as ports, Mesh(slots=40) as mesh:
        one, other = ports.take(), ports.take()
        (folder / "cameras.yaml").write_text(DOCUMENTS.format(one=one, other=other))
        mesh.serve("--file", str(folder), "--route", f"/live=rtsp://127.0.0.1:{one}/")
        mesh.envoy()
        yield Scene(mesh=mesh, one=one, other=other)


@pytest.fixture
async def proxy(scene: Scene) -> AsyncIterator[RTSPProxy]:
    async with running_proxy(scene.mesh, ProxyLimits(session_timeout=SESSION_TIMEOUT)) as proxy:
        await until(scene.mesh.ready, "the mesh was ready")
        yield proxy


@asynccontextmanager
async def playing(
    scene: Scene, path: str, lower: LowerTransport = LowerTransport.UDP, *, reports: bool = True
) -> AsyncIterator[MarkedPlayer]:
    """A player that ends its session if it still can."""
    player = MarkedPlayer(scene.mesh.url(path), lower, reports=reports)
    try:
        await player.connect()
        await player.set_up()
        await player.play()
        yield player
    finally:
        await player.stop()


async def lasts(player: MarkedPlayer, seconds: float) -> None:
    """Media goes on for so long."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    tracks = player.tracks.values()

    def still_comes() -> bool:
        return all(track.arrivals and track.arrivals[-1][1] > end for track in tracks)

    await until(still_comes, "media of later", seconds + MARGIN)


@pytest.mark.parametrize("lower", LowerTransport)
async def test_a_camera_that_stops_sending_is_found_silent_and_then_flowing_again(
    scene: Scene, proxy: RTSPProxy, lower: LowerTransport
) -> None:
    path = "/live/x" if lower is LowerTransport.UDP else "/balanced/x"  # over UDP at least as far as the proxy
    with capture_logs() as logs:
        async with scene.camera() as camera, MarkedCamera(port=scene.other) as other, playing(scene, path, lower):
            session = next(each.session("x") for each in (camera, other) if "x" in each.sessions)
            await scene.become("flowing", REPORTS + MARGIN)
            assert all(relay["traffic"]["packets_sent"] > 0 for relay in await scene.relays())
            session.playing = False
            await scene.become("silent", SILENT_AFTER + REPORTS + MARGIN)
            assert all(relay["traffic"]["media_age"] >= SILENT_AFTER for relay in await scene.relays())
            await until(lambda: _said(logs, "no media comes any more"), "a line in the log")
            session.playing = True
            await scene.become("flowing", REPORTS + MARGIN)
            await until(lambda: _said(logs, "media comes again"), "a line in the log")


async def test_who_pauses_is_not_silent(scene: Scene, proxy: RTSPProxy) -> None:
    with capture_logs() as logs:
        async with scene.camera(), playing(scene, "/live/x") as player:
            await scene.become("flowing", REPORTS + MARGIN)
            assert (await player.ask("PAUSE")).status == 200
            await scene.become("idle", REPORTS + MARGIN)
    assert not _said(logs, "no media comes any more")


async def test_an_endpoint_whose_media_has_stopped_gets_no_new_sessions_where_a_policy_ejects_it(
    scene: Scene, proxy: RTSPProxy
) -> None:
    async with MarkedCamera(port=scene.one) as one, MarkedCamera(port=scene.other) as other:
        with capture_logs() as logs:
            async with playing(scene, "/balanced/first"):
                await scene.become("flowing", REPORTS + MARGIN)
                dead, alive = (one, other) if "first" in one.sessions else (other, one)
                dead.session("first").playing = False
                await until(lambda: _said(logs, "an endpoint is left out"), "ejection", SILENT_AFTER + REPORTS + MARGIN)
                for number in range(4):
                    async with playing(scene, f"/balanced/{number}"):
                        assert str(number) in alive.sessions


async def test_requests_keep_a_session_whose_connection_is_gone(scene: Scene, proxy: RTSPProxy) -> None:
    async with scene.camera(), playing(scene, "/live/x", reports=False) as player:
        for method in ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER"):
            await player.wire.close()
            await player.connect()
            assert (await player.ask(method)).status == 200
        await lasts(player, GRACE + MARGIN)


async def test_receiver_reports_keep_a_session_whose_connection_is_gone_and_it_ends_with_them(
    scene: Scene, proxy: RTSPProxy
) -> None:
    async with scene.camera() as camera, playing(scene, "/live/x") as player:
        await scene.become("flowing", REPORTS + MARGIN)
        await player.wire.close()
        await lasts(player, GRACE + SESSION_TIMEOUT)
        assert not camera.session("x").over
        await player.report_no_more()
        await until(lambda: camera.session("x").torn_down, "TEARDOWN at the camera", SESSION_TIMEOUT + REPORTS + MARGIN)


async def test_a_session_whose_connection_is_gone_and_whose_receiver_says_nothing_ends(
    scene: Scene, proxy: RTSPProxy
) -> None:
    async with scene.camera() as camera, playing(scene, "/live/x", reports=False) as player:
        await scene.become("flowing", REPORTS + MARGIN)
        await player.wire.close()
        await until(lambda: camera.session("x").torn_down, "TEARDOWN at the camera", GRACE + MARGIN)


async def test_a_strangers_reports_keep_no_session(scene: Scene, proxy: RTSPProxy) -> None:
    async with scene.camera() as camera, playing(scene, "/live/x", reports=False) as player:
        await scene.become("flowing", REPORTS + MARGIN)
        stranger = UDPPair("127.0.0.1")

        def over() -> bool:
            for track in player.tracks.values():
                assert track.sender is not None
                address, ports = track.sender
                report = receiver_report(Mark(session="x", track=track.number, number=0))
                stranger.send(report, address, ports.rtcp, rtcp=True)
            return camera.session("x").torn_down

        await player.wire.close()
        await until(over, "TEARDOWN at the camera", GRACE + MARGIN)
        stranger.close()
        assert all(relay["traffic"]["receiver_packets"] == 0 for relay in await scene.relays())
        assert all(track.reports == [] for track in camera.session("x").tracks.values())


def _said(logs: list[Any], event: str) -> bool:
    return any(line["event"] == event for line in logs)
