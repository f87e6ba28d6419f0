"""Clients that ask for anything at any time, in any session: each request is answered once, the proxy never fails, and
when they are gone nothing is left."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from rtsp_filter.rtsp import LowerTransport
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh, running_mesh
from tests.peers.rtsp_wire import RTSPWire, eventually

pytestmark = pytest.mark.integration

CLIENTS = 12
STEPS = 150
# A client that closes its connection may come back to its session for ten seconds.
REST_SECONDS = 20.0
METHODS = (
    *("OPTIONS", "DESCRIBE", "DESCRIBE", "SETUP", "SETUP", "SETUP", "PLAY", "PLAY", "PAUSE", "TEARDOWN"),
    *("GET_PARAMETER", "SET_PARAMETER", "ANNOUNCE", "RECORD", "REDIRECT", "FLY"),
)
TRANSPORTS = (
    "RTP/AVP;unicast;client_port=46000-46001",
    "RTP/AVP;unicast;client_port=46002-46003;mode=record",
    "RTP/AVP/TCP;unicast;interleaved=0-1",
    "RTP/AVP/TCP;unicast;interleaved=2-3",
    "RTP/AVP/TCP;unicast",
    "RTP/AVP;multicast",
    "RTP/AVP;unicast;client_port=46000-46001;destination=192.0.2.1",
    "nonsense",
    "",
)
PATHS = ("/live/a", "/live/b", "/live/a/track=0", "/live/a/track=1", "/live/b/track=0", "/live/a/track=7", "/nowhere")
BODIES = (b"", b"", b"", b"v=0\r\nm=video 0 RTP/AVP 96\r\na=control:track=0\r\n", b"position\r\n", b"\0\xff")
FRAME = b"$\0\0\4\x80\x60\0\1"


@dataclass(slots=True, kw_only=True)
class Walk:
    """Everybody's sessions are known to everybody."""

    mesh: Mesh
    chance: random.Random
    sessions: list[str] = field(default_factory=lambda: ["unknown"])
    statuses: set[int] = field(default_factory=set)

    async def client(self) -> None:
        wire = await self._connect()
        try:
            for _ in range(STEPS):
                if wire.closed.is_set() or self.chance.random() < 0.03:
                    await wire.close()
                    wire = await self._connect()
                elif self.chance.random() < 0.05:
                    wire.write(FRAME)
                else:
                    await self._ask(wire)
        finally:
            await wire.close()

    async def _connect(self) -> RTSPWire:
        host, _, port = self.mesh.rtsp.rpartition(":")
        return await RTSPWire.open(host, int(port), on_frame=lambda channel, payload: None)

    async def _ask(self, wire: RTSPWire) -> None:
        """One request, whose answer comes unless the connection ends."""
        choose = self.chance.choice
        headers = []
        if self.chance.random() < 0.6:
            headers.append(("Session", choose(self.sessions[-2 * CLIENTS :])))
        if self.chance.random() < 0.7:
            headers.append(("Transport", choose(TRANSPORTS)))
        wire.write(wire.request(choose(METHODS), self.mesh.url(choose(PATHS)), *headers, body=choose(BODIES)))
        answer = asyncio.create_task(wire.response())
        closed = asyncio.create_task(wire.closed.wait())
        await asyncio.wait((answer, closed), return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            response = answer.result()
            self.statuses.add(response.status)
            session = (response.headers.get("Session") or "").partition(";")[0]
            if session and session not in self.sessions:
                self.sessions.append(session)
        for task in (answer, closed):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
async def camera() -> AsyncIterator[MarkedCamera]:
    async with MarkedCamera() as camera:
        yield camera


@pytest.mark.timeout(90)
@pytest.mark.parametrize("seed", range(2))
async def test_clients_that_do_anything_leave_nothing_behind_and_disturb_nobody(
    seed: int, camera: MarkedCamera
) -> None:
    async with running_mesh("--route", f"/live={camera.url}/", slots=60) as mesh:
        walk = Walk(mesh=mesh, chance=random.Random(seed))
        async with (
            MarkedPlayer(mesh.url("/live/good"), LowerTransport.TCP) as tcp,
            MarkedPlayer(mesh.url("/live/good-too")) as udp,
        ):
            await asyncio.gather(*(walk.client() for _ in range(CLIENTS)))
            await eventually(lambda: len(mesh.items("/v1/sessions")) == 2, "the end of the others", REST_SECONDS)
        await eventually(lambda: mesh.slots()["open"] == 0, "rest")
        log = mesh.main.output
    for player in (tcp, udp):
        assert player.foreign == []
        for track in player.tracks.values():
            assert track.numbers == list(range(len(track.numbers)))
    assert "fault of this proxy" not in log
    assert "Traceback" not in log
    assert 500 not in walk.statuses
    assert {200, 404, 454, 455, 461, 501} <= walk.statuses
