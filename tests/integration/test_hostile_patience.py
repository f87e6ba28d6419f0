"""Who does not take what it is sent, stops in the middle, or never goes on, is let go in its time; others notice
nothing. Some times are shorter here, so that a test can wait for them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import capture_logs

from rtsp_filter.proxy import RTSPProxy
from rtsp_filter.proxy.clients.connection import ClientConnection
from rtsp_filter.proxy.clients.outbox import MAX_HELD_MESSAGES
from rtsp_filter.proxy.limits import MAX_PIPELINED, TEARDOWN_TIMEOUT, WRITE_BUFFER_BYTES
from rtsp_filter.rtsp import LowerTransport
from tests.peers.marked_camera import CameraConnection, MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh
from tests.peers.ports import reserve_ports
from tests.peers.rtsp_proxy import running_proxy
from tests.peers.rtsp_wire import WAIT_SECONDS, eventually

pytestmark = pytest.mark.integration

SHORT = 0.3
FEW_BYTES = 64 * 1024
PACKETS = 10
# A camera whose media soon fills every buffer on its way: 2 MB/s.
FAT = {"rate": 500.0, "size": 1400}


DOCUMENTS = """\
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {{name: camera}}
spec:
  endpoints:
  - {{name: camera, address: 127.0.0.1, port: {port}, transport: udp}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {{name: udp}}
spec:
  rules:
  - matches:
    - path: {{type: PathPrefix, value: /udp}}
    filters:
    - {{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /}}}}}}
    backendRefs:
    - {{group: mediastreamingmesh.io, kind: Backend, name: camera}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A mesh whose RTSP proxy the tests run, and the port of its camera, which they bring: behind /live it is asked for
    any transport, behind /udp for UDP only."""

    mesh: Mesh
    camera_port: int

    def camera(self, **kind: Any) -> MarkedCamera:
        return MarkedCamera(port=self.camera_port, **kind)

    def player(self, name: str, below: str = "live") -> MarkedPlayer:
        """Over TCP."""
        return MarkedPlayer(self.mesh.url(f"/{below}/{name}"), LowerTransport.TCP)

    @asynccontextmanager
    async def playing(self, name: str) -> AsyncIterator[MarkedPlayer]:
        """A player that is told of its session's end by nobody but the test."""
        player = self.player(name)
        await player.connect()
        try:
            await player.set_up()
            await player.play()
            yield player
        finally:
            await player.vanish()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("routes")
    with reserve_ports(1) as ports, Mesh() as mesh:
        port = ports.take()
        (folder / "udp.yaml").write_text(DOCUMENTS.format(port=port))
        mesh.serve("--file", str(folder), "--route", f"/live=rtsp://127.0.0.1:{port}/")
        mesh.envoy()
        yield Scene(mesh=mesh, camera_port=port)


@pytest.fixture
async def proxy(scene: Scene) -> AsyncIterator[RTSPProxy]:
    async with running_proxy(scene.mesh) as proxy:
        await eventually(scene.mesh.ready, "the mesh was ready")
        yield proxy


def assert_lost_nothing(player: MarkedPlayer) -> None:
    assert player.foreign == []
    for track in player.tracks.values():
        assert track.numbers == list(range(len(track.numbers)))


async def goes_on(player: MarkedPlayer) -> None:
    heard = player.received
    await eventually(lambda: player.received > heard + PACKETS, "more media")


async def test_player_that_takes_nothing_is_let_go(
    scene: Scene, proxy: RTSPProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsp_filter.proxy.clients.connection.STALLED_TIMEOUT", SHORT)
    async with scene.camera(**FAT) as fat, scene.player("good") as good:
        async with scene.playing("deaf") as deaf:
            deaf.wire.stop_reading()
            await eventually(lambda: fat.session("deaf").over, "the end of the deaf player's session")
        await goes_on(good)
    assert_lost_nothing(good)


async def test_client_that_asks_without_end_and_takes_no_answer_is_let_go(
    scene: Scene, proxy: RTSPProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsp_filter.proxy.clients.connection.STALLED_TIMEOUT", SHORT)
    async with scene.camera(), scene.player("good") as good:
        sent = await asyncio.to_thread(ask_without_end, scene.mesh)
        await goes_on(good)
    assert sent > WRITE_BUFFER_BYTES
    assert_lost_nothing(good)


def ask_without_end(mesh: Mesh) -> int:
    """Bytes that were sent until the connection was closed."""
    host, _, port = mesh.rtsp.rpartition(":")
    asked = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" * (2 * MAX_PIPELINED)
    with socket.create_connection((host, int(port))) as client:
        client.settimeout(20)
        sent = 0
        with suppress(ConnectionError):
            while True:
                sent += client.send(asked)
        return sent


async def test_session_that_is_never_played_is_given_up(
    scene: Scene, proxy: RTSPProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsp_filter.proxy.server.PLAY_TIMEOUT", SHORT)
    player = scene.player("x")
    async with scene.camera() as camera:
        await player.connect()
        await player.set_up()
        await eventually(lambda: camera.session("x").torn_down, "TEARDOWN at the camera")
        await asyncio.wait_for(player.wire.closed.wait(), 5)
        await player.vanish()


async def test_session_whose_client_hung_up_waits_for_it_and_not_for_ever(
    scene: Scene, proxy: RTSPProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsp_filter.proxy.limits.RESUME_GRACE", 3 * SHORT)
    player = MarkedPlayer(scene.mesh.url("/udp/x"))
    async with scene.camera() as camera:
        await player.connect()
        await player.set_up()
        await player.play()
        await player.wire.close()
        await player.connect()
        assert (await player.ask("OPTIONS")).status == 200
        await goes_on(player)
        await player.vanish()
        assert not camera.session("x").over
        await eventually(lambda: camera.session("x").torn_down, "TEARDOWN at the camera")


async def test_camera_that_does_not_answer_teardown_does_not_hold_its_client(scene: Scene, proxy: RTSPProxy) -> None:
    loop = asyncio.get_running_loop()
    async with scene.camera(stubborn=True), scene.playing("x") as player:
        start = loop.time()
        assert (await player.ask("TEARDOWN")).status == 200
        assert TEARDOWN_TIMEOUT / 2 < loop.time() - start < TEARDOWN_TIMEOUT + 1


async def test_camera_that_stops_in_the_middle_of_a_frame_lets_few_answers_wait(scene: Scene, proxy: RTSPProxy) -> None:
    async with scene.camera() as camera, scene.playing("x") as player:
        session = camera.session("x")
        session.playing = False
        session.connection.write(b"$\0\x10\0and no more")
        for _ in range(MAX_HELD_MESSAGES + MAX_PIPELINED):
            player.wire.write(player.wire.request("OPTIONS", "*"))
        await asyncio.wait_for(player.wire.closed.wait(), 5)
        await eventually(lambda: session.over, "the end of the session")


async def test_camera_that_asks_without_end_and_takes_no_answer_is_let_go(
    scene: Scene, proxy: RTSPProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsp_filter.proxy.cameras.upstream.MOST_UNREAD_BYTES", FEW_BYTES)
    async with scene.camera() as camera, scene.player("good") as good:
        async with scene.playing("x") as player:
            await asyncio.wait_for(ask_without_end_as(camera.session("x").connection), WAIT_SECONDS)
            await asyncio.wait_for(player.wire.closed.wait(), 5)
        await goes_on(good)
    assert_lost_nothing(good)


async def ask_without_end_as(connection: CameraConnection) -> None:
    """Requests of a camera that takes no answer, until it is let go."""
    connection.stop_reading()
    asked = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" * 1000
    while not connection.closed:
        connection.write(asked)
        await asyncio.sleep(0.001)


async def test_frames_that_a_slow_player_does_not_take_are_dropped_whole_and_counted(
    scene: Scene, proxy: RTSPProxy
) -> None:
    """Its camera sends by UDP, which cannot be told to wait. A player of the same camera that takes all gets all."""
    with capture_logs() as logs:
        async with scene.camera(**FAT) as fat, scene.player("good", "udp") as good, scene.player("slow", "udp") as slow:
            slow.wire.stop_reading()
            (connection,) = proxy.sessions[slow.session].clients
            assert isinstance(connection, ClientConnection)
            await eventually(lambda: connection.frames_dropped > PACKETS, "frames to be dropped")
            slow.wire.read_again()
            sent = fat.session("slow").tracks[0].sent
            await eventually(lambda: any(number > sent for number in slow.tracks[0].numbers), "newer media")
    assert slow.foreign == []
    numbers = slow.tracks[0].numbers
    assert numbers == sorted(set(numbers))
    assert len(numbers) < numbers[-1] + 1
    assert_lost_nothing(good)
    (told,) = [line for line in logs if line.get("frames_dropped")]
    assert told["frames_dropped"] == connection.frames_dropped
