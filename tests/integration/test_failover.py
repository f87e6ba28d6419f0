"""A camera fails in mid-play, and an equal one takes over: the player keeps its session, and plays on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from signal import SIGKILL

import pytest

from rtsp_filter.proxy.limits import MAX_MOVES, MOVE_TIMEOUT
from rtsp_filter.rtsp import LowerTransport
from tests.peers.cameras import GstCamera
from tests.peers.clip import AudioCodec, Clip
from tests.peers.documents import lobby
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh, running_mesh
from tests.peers.players import Player, Transport, play
from tests.peers.rtsp_wire import WAIT_SECONDS, eventually

pytestmark = pytest.mark.integration

TAKEN_OVER = "another camera has taken over"
# Sessions that lose their camera in the same moment, and those of another one.
PLAYERS = 40
# Twelve seconds: long enough for a player to stumble over what it would stumble over.
FRAMES = 300


POLICY = """\
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: MediaPolicy
metadata: {name: lobby}
spec: {targetRefs: [{kind: Backend, name: lobby}], session: {onBackendFailure: Move}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A mesh whose backend has several cameras."""

    mesh: Mesh
    cameras: list[MarkedCamera]

    @property
    def log(self) -> str:
        return self.mesh.main.output

    def playing(self, name: str) -> list[MarkedCamera]:
        """The cameras that send for this session."""
        return [camera for camera in self.cameras if any(each.playing for each in camera.sessions.get(name, []))]

    async def fail(self, name: str) -> MarkedCamera:
        """The camera that sends for this session hangs up, to all."""
        await eventually(lambda: len(self.playing(name)) == 1, "a camera plays")
        [camera] = self.playing(name)
        camera.hang_up()
        return camera

    async def plays_on(self, player: MarkedPlayer, moves: int = 1) -> None:
        """Another camera takes over, and its media comes."""
        await eventually(lambda: self.log.count(TAKEN_OVER) >= moves, "another camera takes over")
        heard = player.received
        await eventually(lambda: player.received > heard + 20, "media goes on")
        assert player.foreign == []

    async def gives_up(self, player: MarkedPlayer) -> None:
        """The player is told by the end of its connection, and nothing is left."""
        await asyncio.wait_for(player.wire.closed.wait(), WAIT_SECONDS)
        await eventually(lambda: self.mesh.slots()["open"] == 0, "the slots are given back")


def _documents(ports: Iterable[int], transport: str = "auto") -> str:
    endpoints = (f"{{name: c{port}, address: 127.0.0.1, port: {port}, transport: {transport}}}" for port in ports)
    return lobby(*endpoints) + POLICY


@asynccontextmanager
async def running(
    tmp_path: Path, *codecs: str, transport: str = "auto", slots: int = 15, lasting: bool = False
) -> AsyncIterator[Scene]:
    """A mesh of cameras of these codecs; of two equal ones if nothing is said."""
    async with AsyncExitStack() as stack:
        kinds = codecs or ("MARK", "MARK")
        cameras = [await stack.enter_async_context(MarkedCamera(codec=codec, lasting=lasting)) for codec in kinds]
        file = tmp_path / "mesh.yaml"
        file.write_text(_documents([camera.port for camera in cameras], transport))
        mesh = await stack.enter_async_context(running_mesh("-f", str(file), slots=slots))
        yield Scene(mesh=mesh, cameras=cameras)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("lower", [LowerTransport.UDP, LowerTransport.TCP])
async def test_a_player_plays_on_when_its_camera_hangs_up(
    tmp_path: Path, lower: LowerTransport, transport: str
) -> None:
    async with running(tmp_path, transport=transport) as scene:
        async with MarkedPlayer(scene.mesh.url("/lobby"), lower) as player:
            await eventually(lambda: player.heard(10), "media comes")
            failed = await scene.fail("lobby")
            await scene.plays_on(player)
            [taken_over] = scene.playing("lobby")
            assert taken_over is not failed
            assert [each["endpoint"] for each in scene.mesh.items("/v1/sessions")] == [f"127.0.0.1:{taken_over.port}"]
            assert (await player.ask("GET_PARAMETER")).status == 200
        await eventually(lambda: not scene.playing("lobby"), "no camera plays")
        assert taken_over.session("lobby").torn_down


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("lower", [LowerTransport.UDP, LowerTransport.TCP])
async def test_a_camera_that_sends_nothing_any_more_is_replaced(
    tmp_path: Path, lower: LowerTransport, transport: str
) -> None:
    async with (
        running(tmp_path, transport=transport) as scene,
        MarkedPlayer(scene.mesh.url("/lobby"), lower) as player,
    ):
        await eventually(lambda: player.heard(10), "media comes")
        [silent] = scene.playing("lobby")
        silent.muted = True
        await scene.plays_on(player)
        await eventually(lambda: silent.session("lobby").torn_down, "the silent camera is told to stop")
        assert "no media came for" in scene.log


@pytest.mark.parametrize("lower", [LowerTransport.UDP, LowerTransport.TCP])
async def test_media_of_a_camera_that_was_replaced_and_sends_on_does_not_stand_in_the_way(
    tmp_path: Path, lower: LowerTransport
) -> None:
    async with (
        running(tmp_path, transport="udp", lasting=True) as scene,
        MarkedPlayer(scene.mesh.url("/lobby"), lower) as player,
    ):
        await eventually(lambda: player.heard(10), "media comes")
        failed = await scene.fail("lobby")
        await scene.plays_on(player)
        assert failed in scene.playing("lobby")
        failed.muted = True
        heard = player.received
        await eventually(lambda: player.received > heard + 50, "media of the one that has taken over")


async def test_a_camera_of_another_stream_does_not_take_over(tmp_path: Path) -> None:
    async with running(tmp_path, "MARK", "OTHER") as scene:
        async with MarkedPlayer(scene.mesh.url("/lobby")) as player:
            await eventually(lambda: player.heard(10), "media comes")
            await scene.fail("lobby")
            await scene.gives_up(player)
        assert "it describes another stream" in scene.log


async def test_an_endpoint_that_cannot_take_over_is_passed_by(tmp_path: Path) -> None:
    async with (
        running(tmp_path, "OTHER", "MARK", "MARK", "MARK") as scene,
        MarkedPlayer(scene.mesh.url("/first")) as first,
        MarkedPlayer(scene.mesh.url("/second")) as player,
    ):
        await eventually(lambda: first.heard(1) and player.heard(10), "media comes")
        [camera] = scene.playing("second")
        assert camera.codec == "MARK"
        deaf = next(each for each in scene.cameras if each is not camera and each.codec == "MARK")
        deaf.refuse()
        await scene.fail("second")
        await scene.plays_on(player)
        assert scene.playing("second") != [deaf]


async def test_a_session_whose_cameras_all_fail_ends(tmp_path: Path) -> None:
    async with running(tmp_path) as scene:
        async with MarkedPlayer(scene.mesh.url("/lobby")) as player:
            await eventually(lambda: player.heard(10), "media comes")
            for camera in scene.cameras:
                camera.refuse()
            await scene.fail("lobby")
            await scene.gives_up(player)
        assert "has no other endpoint now" in scene.log


async def test_a_move_that_takes_too_long_ends_the_session(tmp_path: Path) -> None:
    async with running(tmp_path) as scene:
        async with MarkedPlayer(scene.mesh.url("/lobby")) as player:
            await eventually(lambda: player.heard(10), "media comes")
            for camera in scene.cameras:
                camera.deaf = True
            await scene.fail("lobby")
            await scene.gives_up(player)
        assert f"no other endpoint took over within {MOVE_TIMEOUT:.0f} s" in scene.log


async def test_a_session_moves_only_so_often(tmp_path: Path) -> None:
    # Each move leaves two slots behind, which rest.
    slots = 4 + 2 * (MAX_MOVES + 1)
    async with running(tmp_path, slots=slots) as scene, MarkedPlayer(scene.mesh.url("/lobby")) as player:
        for moves in range(1, MAX_MOVES + 1):
            await scene.fail("lobby")
            await scene.plays_on(player, moves)
        await scene.fail("lobby")
        await scene.gives_up(player)


async def test_all_sessions_of_a_camera_move_at_once(tmp_path: Path) -> None:
    # Of each session, two tracks with two relays each, of which one is new after the move, while the old one rests.
    async with running(tmp_path, slots=6 * PLAYERS) as scene, AsyncExitStack() as stack:
        players = [MarkedPlayer(scene.mesh.url(f"/p{number}")) for number in range(PLAYERS)]
        for player in players:
            await stack.enter_async_context(player)
        await eventually(lambda: all(player.heard(5) for player in players), "media comes")
        failed = scene.cameras[0]
        moving = [player for player in players if player.name in failed.sessions]
        assert len(moving) == PLAYERS // 2
        failed.hang_up()
        await eventually(lambda: scene.log.count(TAKEN_OVER) == len(moving), "all have moved")
        heard = {player.name: player.received for player in players}
        await eventually(lambda: all(each.received > heard[each.name] + 20 for each in players), "media goes on")
        gaps = sorted(track.longest_gap for player in moving for track in player.tracks.values())
        print(f"{len(moving)} sessions at once: {gaps[len(gaps) // 2]:.3f} s without media, {gaps[-1]:.3f} at worst")
        assert [player.foreign for player in players] == [[] for _ in players]


@pytest.mark.parametrize(("player", "transport"), list(product(Player, Transport)))
def test_players_decode_on_when_another_camera_takes_over(
    player: Player, transport: Transport, clips: dict[AudioCodec, Clip], tmp_path: Path
) -> None:
    clip = clips[AudioCodec.AAC]
    with GstCamera(clip) as one, GstCamera(clip) as other, Mesh() as mesh:
        file = tmp_path / "mesh.yaml"
        file.write_text(_documents([one.port, other.port]))
        mesh.up("--file", str(file))

        def kill_the_camera() -> None:
            [camera] = [each for each in (one, other) if each.events["play"]]
            camera.stop(SIGKILL)

        played = play(player, mesh.url("/stream"), transport, frames=FRAMES, halfway=kill_the_camera)
        assert TAKEN_OVER in mesh.main.output
    known = set(clip.frames)
    damaged = [number for number, frame in enumerate(played.frames) if frame not in known]
    assert damaged == []
