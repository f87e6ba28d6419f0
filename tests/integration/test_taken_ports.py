"""Media ports that another program has taken after all: Envoy refuses those slots, and nobody is given one of them."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import PORTS_PER_SLOT, Mesh
from tests.peers.rtsp_wire import eventually

pytestmark = pytest.mark.integration

SLOTS = 40
# One of the slots that are warm from the start, which are granted ahead; one that is warmed when the pool grows.
TAKEN = (3, 35)
PACKETS = 3
# Less than what a relay waits for that Envoy never acknowledges.
AT_ONCE = 4.0


async def test_all_slots_but_those_whose_ports_are_taken_work_and_none_keeps_a_player_waiting() -> None:
    async with MarkedCamera(rate=20) as camera:
        with Mesh(slots=SLOTS) as mesh, taken(mesh, *TAKEN):
            await asyncio.to_thread(start, mesh, camera)
            await eventually(mesh.ready, "the mesh was ready")
            assert mesh.slots()["refused"] == 1
            players = [MarkedPlayer(mesh.url(f"/live/{n}"), tracks=[0]) for n in range(SLOTS - len(TAKEN))]
            try:
                first, others = players[: SLOTS // 2], players[SLOTS // 2 :]
                times = [await set_up(player) for player in first]
                await eventually(lambda: mesh.slots()["refused"] == len(TAKEN), "the growth of the pool")
                times += [await set_up(player) for player in others]
                await eventually(lambda: all(player.heard(PACKETS) for player in players), "media for everybody")
                assert max(times) < AT_ONCE
                assert {item["slot"] for item in mesh.items("/v1/relays")} == set(range(SLOTS)) - set(TAKEN)
            finally:
                for player in players:
                    await player.stop()
            assert [player.foreign for player in players if player.foreign] == []
            await asyncio.to_thread(mesh.close)


async def test_a_mesh_whose_ports_are_all_taken_says_so_in_the_words_of_envoy() -> None:
    async with MarkedCamera() as camera:
        with Mesh(slots=2) as mesh, taken(mesh, 0, 1):
            await asyncio.to_thread(start, mesh, camera)
            await eventually(lambda: "refused 2 slots" in reasons(mesh), "the reason")
            assert "Address already in use" in reasons(mesh)
            await asyncio.to_thread(mesh.close)


def start(mesh: Mesh, camera: MarkedCamera) -> None:
    mesh.serve("--route", f"/live={camera.url}/")
    mesh.envoy()
    mesh.proxy()


async def set_up(player: MarkedPlayer) -> float:
    """How many seconds it took until the player plays."""
    began = time.monotonic()
    await player.__aenter__()
    return time.monotonic() - began


def reasons(mesh: Mesh) -> str:
    status, text = mesh.fetch("GET", "/readyz")
    assert status == 503
    return json.dumps(json.loads(text))


@contextmanager
def taken(mesh: Mesh, *slots: int) -> Iterator[None]:
    """Another program has the first port of each of these slots."""
    first = int(mesh.media_ports.partition("-")[0])
    with ExitStack() as stack:
        for slot in slots:
            other = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            other.bind(("127.0.0.1", first + PORTS_PER_SLOT * slot))
        yield
