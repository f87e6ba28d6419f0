"""`kill -9` of a part of the mesh during play: media goes on, and what comes back finds everything in its place."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Any

import pytest

from rtsp_filter.rtsp import LowerTransport
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh, children, receivers, running_mesh
from tests.peers.process import Process
from tests.peers.rtsp_wire import eventually

pytestmark = pytest.mark.integration

TCP = LowerTransport.TCP
# Most of a second of play between one step and the next.
PACKETS = 15
# Envoy ended by `kill -9`: media flows again within this many seconds.
ENVOY_GAP = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A mesh of three processes, with a camera and what its control plane was started with."""

    mesh: Mesh
    camera: MarkedCamera
    control_plane: Process
    envoy: Process
    proxy: Process

    async def control_plane_again(self) -> Process:
        process = await asyncio.to_thread(self.mesh.serve, *route_to(self.camera))
        await eventually(self.mesh.ready, "the mesh was ready again")
        return process

    def player(self, name: str, lower: LowerTransport = LowerTransport.UDP) -> MarkedPlayer:
        return MarkedPlayer(self.mesh.url(f"/live/{name}"), lower)


@asynccontextmanager
async def three_processes(slots: int = 15) -> AsyncIterator[Parts]:
    async with MarkedCamera(rate=20) as camera:
        with Mesh(slots=slots) as mesh:
            parts = await asyncio.to_thread(start, mesh, camera)
            await asyncio.to_thread(mesh.wait_ready, parts.control_plane)
            try:
                yield parts
            finally:
                await asyncio.to_thread(mesh.close)


def start(mesh: Mesh, camera: MarkedCamera) -> Parts:
    control_plane = mesh.serve(*route_to(camera))
    return Parts(mesh=mesh, camera=camera, control_plane=control_plane, envoy=mesh.envoy(), proxy=mesh.proxy())


def route_to(camera: MarkedCamera) -> tuple[str, str]:
    return "--route", f"/live={camera.url}/"


async def play_on(*players: MarkedPlayer, packets: int = PACKETS) -> None:
    """Wait until every track of every player has so many packets more."""
    goals = {player.name: min(len(track.arrivals) for track in player.tracks.values()) + packets for player in players}
    await eventually(
        lambda: all(player.heard(goals[player.name]) for player in players), f"{packets} packets to everybody"
    )


async def assert_every_packet_arrives(player: MarkedPlayer, camera: MarkedCamera) -> None:
    """The camera pauses, so that what it sent and what arrived can be compared to the last packet."""
    assert (await player.ask("PAUSE")).status == 200
    tracks = camera.session(player.name).tracks
    await eventually(lambda: player.received == sum(track.sent for track in tracks.values()), "every packet", 2)
    for number, track in tracks.items():
        assert player.tracks[number].numbers == list(range(track.sent))
    assert player.foreign == []


async def test_kill_of_the_control_plane_loses_no_packet_and_no_relay() -> None:
    """Sessions over UDP and TCP play on, one ends meanwhile; afterwards what stands is just what should, and a new
    session gets slots of its own."""
    async with three_processes() as parts:
        mesh, camera = parts.mesh, parts.camera
        async with parts.player("one") as one, parts.player("two") as two, parts.player("tcp", TCP) as tcp:
            await play_on(one, two, tcp)
            before = relays(mesh)
            async with parts.player("gone") as gone:
                await play_on(gone)
                parts.control_plane.kill()
            await play_on(one, two, tcp)
            await parts.control_plane_again()
            assert relays(mesh) == before
            assert sorted(receivers(parts.envoy)) == flow_names(before)
            assert {item["url"] for item in mesh.items("/v1/sessions")} == {one.url, two.url, tcp.url}
            async with parts.player("new") as new:
                await play_on(one, two, tcp, new)
                assert before.items() <= relays(mesh).items()
                assert len({slot for slot, _ in relays(mesh).values()}) == len(before) + len(new.tracks)
                for player in (one, two, tcp, new):
                    await assert_every_packet_arrives(player, camera)


async def test_proxy_that_is_slower_than_the_settle_time_gets_its_slots_back() -> None:
    """A stated limit: its media stops when the control plane has waited long enough, and goes on once it is back.

    Until then its slots rest, so that nobody else gets them.
    """
    async with three_processes(slots=6) as parts:
        mesh = parts.mesh
        async with parts.player("slow") as slow:
            await play_on(slow)
            before = relays(mesh)
            parts.proxy.send(SIGSTOP)
            parts.control_plane.kill()
            await asyncio.to_thread(mesh.serve, *route_to(parts.camera))
            await eventually(lambda: not receivers(parts.envoy), "clearing of its slots")
            assert mesh.slots()["resting"] == len(before)
            parts.proxy.send(SIGCONT)
            await eventually(lambda: relays(mesh) == before, "the return of the relays")
            await play_on(slow)
        assert slow.foreign == []


async def test_media_flows_again_soon_after_the_kill_of_envoy(capsys: pytest.CaptureFixture[str]) -> None:
    async with MarkedCamera(rate=20) as camera, running_mesh(*route_to(camera)) as mesh:
        urls = [mesh.url(f"/live/{name}") for name in ("one", "two")]
        async with MarkedPlayer(urls[0]) as one, MarkedPlayer(urls[1]) as two:
            await play_on(one, two)
            before, carried = relays(mesh), receivers(mesh.main)
            (pid,) = children(mesh.main, "envoy")
            os.kill(pid, SIGKILL)
            await eventually(lambda: pid not in children(mesh.main, "envoy"), "the end of Envoy")
            await play_on(one, two)
            assert relays(mesh) == before
            assert receivers(mesh.main) == carried
            async with MarkedPlayer(mesh.url("/live/new")) as new:
                await play_on(new)
    gap = max(track.longest_gap for player in (one, two) for track in player.tracks.values())
    with capsys.disabled():
        print(f"\nkill -9 of Envoy: {gap:.2f} s without media")
    assert gap < ENVOY_GAP
    assert one.foreign == two.foreign == new.foreign == []


def relays(mesh: Mesh) -> dict[str, tuple[int, Any]]:
    """Slot and receiver of each relay, by id; all of them carry media."""
    items = mesh.items("/v1/relays")
    assert {item["state"] for item in items} <= {"ready"}
    return {item["id"]: (item["slot"], json.dumps(item["receiver"])) for item in items}


def flow_names(held: dict[str, tuple[int, Any]]) -> list[str]:
    return sorted(f"slot-{slot}-{flow}" for slot, _ in held.values() for flow in ("rtp", "rtcp"))
