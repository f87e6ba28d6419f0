"""How many connections and sessions a client, and everybody together, may have; whoever is within that goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from rtsp_filter.proxy import ProxyLimits, RTSPProxy
from rtsp_filter.rtsp import LowerTransport, Response
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh
from tests.peers.rtsp_proxy import running_proxy
from tests.peers.rtsp_wire import RTSPWire, eventually

pytestmark = pytest.mark.integration

LIMITS = ProxyLimits(max_connections=12, max_connections_per_client=8, max_sessions=6, max_sessions_per_client=4)
ONE, OTHER, THIRD = "127.0.0.2", "127.0.0.3", "127.0.0.4"
PACKETS = 10
OFFER = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")


@pytest.fixture
async def camera() -> AsyncIterator[MarkedCamera]:
    async with MarkedCamera() as camera:
        yield camera


@pytest.fixture
async def mesh(camera: MarkedCamera) -> AsyncIterator[Mesh]:
    """A control plane; the tests run its RTSP proxy."""
    with Mesh() as mesh:
        await asyncio.to_thread(mesh.serve, "--route", f"/live={camera.url}/")
        yield mesh


@pytest.fixture
async def proxy(mesh: Mesh) -> AsyncIterator[RTSPProxy]:
    async with running_proxy(mesh, LIMITS) as proxy:
        yield proxy
        await eventually(lambda: not proxy.sessions, "the end of all sessions")


async def connected(mesh: Mesh, client: str) -> RTSPWire | None:
    """A connection that was answered; None where it was refused."""
    host, _, port = mesh.rtsp.rpartition(":")
    wire = await RTSPWire.open(host, int(port), local=client)
    wire.write(wire.request("OPTIONS", "*"))
    answered = asyncio.create_task(wire.response())
    refused = asyncio.create_task(wire.closed.wait())
    done, _ = await asyncio.wait((answered, refused), return_when=asyncio.FIRST_COMPLETED)
    for task in (answered, refused):
        task.cancel()
    return wire if answered in done else None


async def crowd(mesh: Mesh, client: str, count: int) -> list[RTSPWire]:
    wires = [await connected(mesh, client) for _ in range(count)]
    assert None not in wires
    return [wire for wire in wires if wire is not None]


@asynccontextmanager
async def playing_on(mesh: Mesh) -> AsyncIterator[None]:
    """A session from before, which loses nothing."""
    async with MarkedPlayer(mesh.url("/live/good"), LowerTransport.TCP) as player:
        yield
        heard = player.received
        await eventually(lambda: player.received > heard + PACKETS, "more media")
    assert player.foreign == []
    for track in player.tracks.values():
        assert track.numbers == list(range(len(track.numbers)))


async def test_one_client_address_has_its_share_of_connections(mesh: Mesh, proxy: RTSPProxy) -> None:
    async with playing_on(mesh):
        wires = await crowd(mesh, ONE, LIMITS.max_connections_per_client)
        assert await connected(mesh, ONE) is None
        wires += await crowd(mesh, OTHER, 1)
        await wires.pop(0).close()
        wires += await crowd(mesh, ONE, 1)
        for wire in wires:
            await wire.close()


async def test_all_clients_together_have_a_bounded_number_of_connections(mesh: Mesh, proxy: RTSPProxy) -> None:
    async with playing_on(mesh):
        wires = await crowd(mesh, ONE, LIMITS.max_connections_per_client)
        wires += await crowd(mesh, OTHER, LIMITS.max_connections - LIMITS.max_connections_per_client - 1)
        assert await connected(mesh, THIRD) is None
        await wires.pop(0).close()
        wires += await crowd(mesh, THIRD, 1)
        for wire in wires:
            await wire.close()


async def set_up(stack: AsyncExitStack, mesh: Mesh, client: str, number: int) -> Response:
    """A session over TCP, which needs a connection of its own."""
    (wire,) = await crowd(mesh, client, 1)
    stack.push_async_callback(wire.close)
    return await wire.ask("SETUP", mesh.url(f"/live/{client}-{number}/track=0"), OFFER)


def assert_too_many(response: Response, reason: bytes) -> None:
    assert (response.status, reason in response.body) == (453, True), response


async def test_sessions_are_bounded_for_one_client_and_for_all_together(
    mesh: Mesh, proxy: RTSPProxy, camera: MarkedCamera
) -> None:
    async with playing_on(mesh), AsyncExitStack() as others:
        async with AsyncExitStack() as ones:
            for number in range(LIMITS.max_sessions_per_client):
                assert (await set_up(ones, mesh, ONE, number)).status == 200
            assert_too_many(await set_up(ones, mesh, ONE, -1), b"127.0.0.2 has its 4 sessions already")
            assert (await set_up(others, mesh, OTHER, 0)).status == 200
            assert_too_many(await set_up(others, mesh, OTHER, -1), b"this proxy has its 6 sessions already")
        await eventually(lambda: len(proxy.sessions) == 2, "the end of one client's sessions")
        assert (await set_up(others, mesh, ONE, 0)).status == 200
    assert not any(session.playing for session in camera.all_sessions)
