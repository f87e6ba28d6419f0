"""A player or camera that vanishes without a word leaves nothing behind: killed, or its cable pulled."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest

from rtsp_filter.proxy.cameras.upstream import DEAD_PEER_SECONDS
from rtsp_filter.proxy.sessions.desertion import RECEIVER_LAG
from rtsp_filter.rtsp import LowerTransport, Response
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import MSM, Mesh, running_mesh
from tests.peers.namespaces import Host, Network, network
from tests.peers.process import Process, wait_until
from tests.peers.rtsp_wire import eventually

pytestmark = pytest.mark.integration

SESSION_TIMEOUT = 6
# A player that was heard just before it vanished has half of the session's time until the kernel's probes are given up,
# and as long again to come back; that it was heard is told a little late. A busy machine has a second.
GONE_SECONDS = SESSION_TIMEOUT + RECEIVER_LAG + 1
# From the moment that the proxy knows of a dead camera to the end of its players' sessions.
ENDING_SECONDS = 5.0
CAMERA_PORT = 9554
TRANSPORTS = ("udp", "tcp")
TRACKS = 2
# DESCRIBE, SETUP of each track, PLAY.
STEPS = 2 + TRACKS


@dataclass(kw_only=True)
class Scene:
    """Hosts on a network: one with the mesh, two with cameras, two with players."""

    net: Network
    mesh: Mesh
    cameras: dict[str, Process]
    idle: list[str] = field(default_factory=list)

    @contextmanager
    def playing(self, player: str, camera: str) -> Iterator[list[Process]]:
        """One player over UDP and one over TCP, both on host `player`."""
        wait_until(self.at_rest, 5, "rest from what was before")
        with ExitStack() as players:
            processes = [
                players.enter_context(
                    Process(
                        self.net[player].command(
                            [MSM, "play", self.mesh.url(f"/{camera}/{transport}"), "--transport", transport, "--json"]
                        )
                    )
                )
                for transport in TRANSPORTS
            ]
            wait_until(self.all_play, 10, "PLAY of both players")
            yield processes

    def all_play(self) -> bool:
        states = [session["state"] for session in self.mesh.items("/v1/sessions")]
        return states == ["playing"] * len(TRANSPORTS)

    def at_rest(self) -> bool:
        """No session, no relay, and no socket but those of the idle mesh."""
        nothing = not self.mesh.items("/v1/sessions") and not self.mesh.items("/v1/relays")
        return nothing and self.mesh.slots()["open"] == 0 and sockets(self.net["mesh"]) == self.idle

    def camera_is_alone(self, camera: str) -> bool:
        """Whether the camera has no connection any more: it saw the end of each session."""
        return not any(f":{CAMERA_PORT} " in line and "ESTAB" in line for line in sockets(self.net[camera]))


def sockets(host: Host) -> list[str]:
    """TCP and UDP sockets of a host: protocol, state and local address."""
    listing = subprocess.run(
        host.command(["ss", "-Hantu"]), check=True, capture_output=True, text=True, timeout=10
    ).stdout
    fields = (line.split() for line in listing.splitlines())
    return sorted(f"{kind} {state} {local} " for kind, state, _, _, local, *_ in fields if state != "TIME-WAIT")


def start_camera(net: Network, name: str) -> Process:
    process = Process(net[name].command([MSM, "camera", "--host", net[name].ipv4, "--port", str(CAMERA_PORT)]))
    process.wait_for_line("plays; Ctrl-C ends it")
    return process


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    names = ("mesh", "camera", "lostcamera", "player", "lostplayer")
    with ExitStack() as stack:
        net = stack.enter_context(network(*names))
        cameras = {name: stack.enter_context(start_camera(net, name)) for name in names if "camera" in name}
        host = net["mesh"]
        mesh = stack.enter_context(Mesh(address=host.ipv4, prefix=host.command([])))
        routes = [f"--route=/{name}=rtsp://{net[name].ipv4}:{CAMERA_PORT}/" for name in cameras]
        mesh.up(*routes, "--session-timeout", str(SESSION_TIMEOUT))
        yield Scene(net=net, mesh=mesh, cameras=cameras, idle=sockets(host))


def test_killed_players_free_everything(scene: Scene) -> None:
    with scene.playing("player", "camera") as players:
        for player in players:
            player.kill()
        wait_until(scene.at_rest, GONE_SECONDS, "the end of both sessions")
        wait_until(lambda: scene.camera_is_alone("camera"), 1, "the end of the camera's sessions")
    wait_until(lambda: scene.mesh.slots()["resting"] == 0, 3, "the end of the slots' rest")


def test_players_without_cable_free_everything(scene: Scene) -> None:
    with scene.playing("lostplayer", "camera"):
        scene.net.cut("lostplayer")
        wait_until(scene.at_rest, GONE_SECONDS, "the end of both sessions")
        wait_until(lambda: scene.camera_is_alone("camera"), 1, "the end of the camera's sessions")
        scene.net.mend("lostplayer")
    wait_until(lambda: scene.mesh.slots()["resting"] == 0, 3, "the end of the slots' rest")


def test_camera_without_cable_ends_its_players_sessions(scene: Scene) -> None:
    with scene.playing("player", "lostcamera") as players:
        scene.net.cut("lostcamera")
        for player in players:
            assert_told(player, DEAD_PEER_SECONDS + ENDING_SECONDS)
        wait_until(scene.at_rest, ENDING_SECONDS, "the end of both sessions")
        scene.net.mend("lostcamera")


def test_killed_camera_ends_its_players_sessions(scene: Scene) -> None:
    with scene.playing("player", "lostcamera") as players:
        scene.cameras["lostcamera"].kill()
        for player in players:
            assert_told(player, ENDING_SECONDS)
        wait_until(scene.at_rest, ENDING_SECONDS, "the end of both sessions")
    # Nobody said that the camera has stopped sending: its slots are not given out yet.
    assert scene.mesh.slots()["resting"] >= TRACKS


@pytest.mark.parametrize("lower", list(LowerTransport))
async def test_players_that_hang_up_at_any_step_free_everything(lower: LowerTransport) -> None:
    """After each request, and before its answer."""
    async with (
        MarkedCamera() as camera,
        running_mesh("--route", f"/live={camera.url}/", "--session-timeout", str(SESSION_TIMEOUT)) as mesh,
    ):
        for answered in range(STEPS + 1):
            for asked in range(answered, min(answered + 1, STEPS) + 1):
                await hang_up_after(MarkedPlayer(mesh.url(f"/live/{answered}of{asked}"), lower), answered, asked)
        await eventually(lambda: not camera.connections, "the end of all connections to the camera", SESSION_TIMEOUT)
        assert not any(session.playing for session in camera.all_sessions)
        await eventually(lambda: mesh.slots()["open"] == 0, "the end of all relays", 1)
        await eventually(lambda: mesh.items("/v1/sessions") == mesh.items("/v1/relays") == [], "it is told", 1)


async def hang_up_after(player: MarkedPlayer, answered: int, asked: int) -> None:
    """Send so many requests, wait for the answers of so many, then hang up without a word."""
    steps: tuple[Callable[[], Awaitable[Response]], ...] = (
        player.describe,
        *(partial(player.set_up_track, track) for track in player.tracks.values()),
        partial(player.ask, "PLAY"),
    )
    await player.connect()
    for step in steps[:answered]:
        assert (await step()).status == 200
    for step in steps[answered:asked]:
        unanswered = asyncio.ensure_future(step())
        await asyncio.sleep(0)  # it is sent
        unanswered.cancel()
        await asyncio.gather(unanswered, return_exceptions=True)
    await player.vanish()


def assert_told(player: Process, timeout: float) -> None:
    """The player got media, and then sees its connection closed."""
    assert player.wait(timeout) == 1
    (line,) = [line for line in player.lines if line.startswith("{")]
    report = json.loads(line)
    assert all(track["packets"] for track in report["tracks"])
    assert "closed the connection" in report["error"]
