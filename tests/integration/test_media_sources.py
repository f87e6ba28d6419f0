"""Whose packets are a camera's: a camera that names no usable port of its own is known by its first packet, and where a
policy says so, nobody at another address or port is taken for it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from rtsp_filter.rtsp import LowerTransport
from tests.peers.documents import lobby
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.marks import Mark, media_packet, sender_report
from tests.peers.mesh import Mesh, running_mesh
from tests.peers.rtsp_wire import eventually

pytestmark = pytest.mark.integration

HERE, CAMERA, STRANGER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
SLOTS = 40
PACKETS = 20
CHANGES = 10
PACE_SECONDS = 0.002
STRANGE = Mark(session="stranger", track=0, number=0)
# What cameras say of the ports that they send from, who do not say it right.
UNUSABLE = ["", "0", "0-0", "0-1"]
WRONG = "9-10"

POLICY = """\
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: MediaPolicy
metadata: {{name: lobby}}
spec: {{targetRefs: [{{kind: Backend, name: lobby}}], session: {{{session}}}}}
"""


@dataclass(slots=True, kw_only=True)
class Stranger:
    """Somebody who sends to every port of the mesh where media could be taken, and sees what comes back."""

    sent: int = 0
    answers: int = 0

    async def run(self, mesh: Mesh, address: str) -> None:
        first, last = (int(port) for port in mesh.media_ports.split("-"))
        packets = media_packet(STRANGE), sender_report(STRANGE)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((address, 0))
            sock.setblocking(False)
            while True:
                for port in range(first, last + 1):
                    sock.sendto(packets[port % 2], (HERE, port))
                    self.sent += 1
                self._take_answers(sock)
                await asyncio.sleep(PACE_SECONDS)

    def _take_answers(self, sock: socket.socket) -> None:
        try:
            while sock.recv(2048):
                self.answers += 1
        except OSError:
            return


@asynccontextmanager
async def stranger(mesh: Mesh, address: str = STRANGER) -> AsyncIterator[Stranger]:
    """There is one from here to the end."""
    somebody = Stranger()
    task = asyncio.create_task(somebody.run(mesh, address), name="stranger")
    try:
        await eventually(lambda: somebody.sent > 0, "the stranger sends")
        yield somebody
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


def documents(folder: Path, camera: MarkedCamera, session: str) -> Path:
    """A route of every path to the camera, whose backend has a policy that says this of sessions."""
    file = folder / "mesh.yaml"
    endpoint = f"{{name: one, address: {camera.address}, port: {camera.port}, transport: udp}}"
    file.write_text(lobby(endpoint) + (POLICY.format(session=session) if session else ""))
    return file


@asynccontextmanager
async def filmed(
    folder: Path, *, says: str | None = None, session: str = "mediaSource: Address", address: str = CAMERA
) -> AsyncIterator[tuple[Mesh, MarkedCamera]]:
    """A mesh in front of a camera that says this of its ports, under this policy."""
    async with (
        MarkedCamera(address, named_ports=says) as camera,
        running_mesh("-f", str(documents(folder, camera, session)), slots=SLOTS) as mesh,
    ):
        yield mesh, camera


async def both_ways(player: MarkedPlayer, camera: MarkedCamera) -> None:
    """Media reaches the player, and its reports the ports that the media came from."""
    tracks = camera.session(player.name).tracks.values()
    goal = min(len(track.arrivals) for track in player.tracks.values()) + PACKETS
    await eventually(
        lambda: player.foreign or (player.heard(goal) and all(track.reports for track in tracks)), "media and reports"
    )
    assert player.foreign == []


@pytest.mark.parametrize(
    ("says", "session"),
    [*((says, "mediaSource: Address") for says in (*UNUSABLE, WRONG)), ("0-0", ""), ("", "mediaSource: Any")],
)
async def test_a_camera_that_names_no_usable_port_works_both_ways(tmp_path: Path, says: str, session: str) -> None:
    async with (
        filmed(tmp_path, says=says, session=session) as (mesh, camera),
        MarkedPlayer(mesh.url("/cam")) as player,
    ):
        await both_ways(player, camera)


@pytest.mark.parametrize("session", ["mediaSource: Address", "mediaSource: Address, onBackendFailure: Move"])
@pytest.mark.parametrize("lower", list(LowerTransport))
async def test_a_stranger_reaches_no_player_and_takes_no_way_back_from_a_camera_without_ports(
    tmp_path: Path, lower: LowerTransport, session: str
) -> None:
    async with filmed(tmp_path, says="0-0", session=session) as (mesh, camera), stranger(mesh) as somebody:
        for name in ("/first", "/second"):
            async with MarkedPlayer(mesh.url(name), lower) as player:
                await both_ways(player, camera)
        assert somebody.answers == 0


async def test_a_stranger_at_the_cameras_own_address_is_none_of_the_ports_that_it_names(tmp_path: Path) -> None:
    session = "mediaSource: AddressAndPorts"
    async with filmed(tmp_path, session=session) as (mesh, camera), stranger(mesh, CAMERA) as somebody:
        for name in ("/first", "/second"):
            async with MarkedPlayer(mesh.url(name)) as player:
                await both_ways(player, camera)
        assert somebody.answers == 0


@pytest.mark.parametrize("says", ["", "0-0"])
async def test_a_camera_that_names_no_usable_port_is_refused_where_only_named_ones_are_allowed(
    tmp_path: Path, says: str
) -> None:
    async with filmed(tmp_path, says=says, session="mediaSource: AddressAndPorts") as (mesh, camera):
        player = MarkedPlayer(mesh.url("/cam"))
        await player.connect()
        assert (await player.describe()).status == 200
        refused = await player.set_up_track(player.tracks[0])
        assert (refused.status, b"mediaSource" in refused.body) == (461, True)
        await eventually(lambda: camera.session("cam").over, "the camera is told that nobody wants its media")
        await player.vanish()


async def test_sessions_lose_nothing_while_slots_change_the_senders_that_they_are_for(tmp_path: Path) -> None:
    async with filmed(tmp_path, session="mediaSource: AddressAndPorts") as (mesh, camera):
        async with MarkedPlayer(mesh.url("/steady")) as steady:
            await both_ways(steady, camera)
            for number in range(CHANGES):
                async with MarkedPlayer(mesh.url(f"/passing-{number}")) as passing:
                    await eventually(lambda player=passing: player.heard(1), "media")  # type: ignore[misc]
            await both_ways(steady, camera)
        for track in steady.tracks.values():
            assert track.numbers == list(range(len(track.numbers)))
