"""No packet of one session ever reaches another, whatever sessions come and go and whoever else sends."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator

import pytest

from rtsp_filter.rtsp import LowerTransport
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh, running_mesh
from tests.peers.rtsp_wire import eventually

pytestmark = pytest.mark.integration

SESSIONS = 100
# Each place in the crowd is taken by so many sessions, one after the other.
ROUNDS = 3
PACKETS = 10
# Two tracks of each session, and slots that rest for a second after each.
CROWD_SLOTS = 5 * SESSIONS
CROWD_SECONDS = 45.0
INTRUSIONS = 50
INTRUSION = b"\x80\x60intruder"


@pytest.fixture
async def camera() -> AsyncIterator[MarkedCamera]:
    async with MarkedCamera(rate=10) as camera:
        yield camera


async def heard_both_ways(player: MarkedPlayer, camera: MarkedCamera, packets: int) -> None:
    """Wait until every track has so many packets more, and the camera a report of every track; and no longer once
    the player got what is not its own."""
    goal = min(len(track.arrivals) for track in player.tracks.values()) + packets
    tracks = camera.session(player.name).tracks.values()
    await eventually(
        lambda: player.foreign or (player.heard(goal) and all(track.reports for track in tracks)),
        f"{packets} packets to {player.name}, and reports from it",
        CROWD_SECONDS,
    )


def assert_own_packets_only(player: MarkedPlayer, camera: MarkedCamera) -> None:
    """Both directions: what the player got, and whose reports its camera session got."""
    assert player.foreign == []
    (session,) = camera.sessions[player.name]
    for number, track in session.tracks.items():
        numbers = player.tracks[number].numbers
        assert numbers == list(range(len(numbers))), f"{player.name}, track {number}"
        reporters = {(mark.session, mark.track) if mark else None for mark in track.reports}
        assert reporters == {(player.name, number)}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("lower", list(LowerTransport))
async def test_hundred_sessions_that_come_and_go_get_their_own_packets_only(
    lower: LowerTransport, camera: MarkedCamera
) -> None:
    """All play at once; then each place changes hands at times of its own, so slots pass from session to session."""
    all_play = asyncio.Barrier(SESSIONS)
    finished: list[MarkedPlayer] = []

    async def take_place(mesh: Mesh, place: int) -> None:
        for turn in range(ROUNDS):
            async with MarkedPlayer(mesh.url(f"/live/s{place}-{turn}"), lower) as player:
                await heard_both_ways(player, camera, PACKETS)
                if turn == 0:
                    await all_play.wait()
                    await heard_both_ways(player, camera, PACKETS + place % PACKETS)
            finished.append(player)

    async with running_mesh("--route", f"/live={camera.url}/", slots=CROWD_SLOTS) as mesh:
        await asyncio.gather(*(take_place(mesh, place) for place in range(SESSIONS)))

    assert len(finished) == SESSIONS * ROUNDS
    for player in finished:
        assert_own_packets_only(player, camera)


async def test_packets_of_an_intruder_reach_neither_player_nor_camera(camera: MarkedCamera) -> None:
    """To every port of the media range, from another address and from another port of the camera's own."""
    async with running_mesh("--route", f"/live={camera.url}/", slots=3) as mesh:
        first, _, last = mesh.media_ports.partition("-")
        async with MarkedPlayer(mesh.url("/live/watched")) as player:
            await heard_both_ways(player, camera, PACKETS)
            for address, port in itertools.product(("127.0.0.1", "127.0.0.2"), range(int(first), int(last) + 1)):
                intrude(address, port)
            await heard_both_ways(player, camera, PACKETS)

    assert_own_packets_only(player, camera)


def intrude(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as intruder:
        intruder.bind((address, 0))
        for _ in range(INTRUSIONS):
            intruder.sendto(INTRUSION, ("127.0.0.1", port))


async def test_camera_that_sends_on_after_its_session_reaches_nobody_else() -> None:
    """It does not answer TEARDOWN either, so its slots are not given to the sessions that follow."""
    async with (
        MarkedCamera(stubborn=True) as stubborn,
        MarkedCamera() as camera,
        running_mesh("--route", f"/stubborn={stubborn.url}/", "--route", f"/live={camera.url}/", slots=8) as mesh,
    ):
        async with MarkedPlayer(mesh.url("/stubborn/first")) as first:
            await heard_both_ways(first, stubborn, PACKETS)
        assert stubborn.session("first").playing
        for turn in range(3):
            async with MarkedPlayer(mesh.url(f"/live/later{turn}")) as later:
                sent = stubborn.session("first").tracks[0].sent
                await heard_both_ways(later, camera, PACKETS)
                assert stubborn.session("first").tracks[0].sent > sent
            assert_own_packets_only(later, camera)
        assert mesh.slots()["resting"] >= 2
