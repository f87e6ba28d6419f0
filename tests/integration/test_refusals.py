"""What the mesh refuses, and how: the status that RTSP has for it, a reason in words, and nobody else disturbed."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, closing
from dataclasses import dataclass

import pytest

from rtsp_filter.rtsp import LowerTransport, Response
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh
from tests.peers.ports import PortRange, reserve_ports
from tests.peers.rtsp_wire import RTSPWire, eventually

pytestmark = pytest.mark.integration

SLOTS = 4
PACKETS = 10
PIPELINED = 100
UDP_OFFER = "RTP/AVP;unicast;client_port=45000-45001"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A mesh with few slots, and ports of cameras: one that works, one where nobody listens, one that never answers,
    one that lets nobody connect."""

    mesh: Mesh
    cameras: dict[str, int]

    async def wire(self) -> RTSPWire:
        host, _, port = self.mesh.rtsp.rpartition(":")
        return await RTSPWire.open(host, int(port))

    async def ask(self, method: str, path: str, *headers: tuple[str, str]) -> Response:
        wire = await self.wire()
        try:
            return await wire.ask(method, self.mesh.url(path), *headers)
        finally:
            await wire.close()


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with ExitStack() as stack:
        ports: PortRange = stack.enter_context(reserve_ports(4))
        cameras = {name: ports.take() for name in ("live", "absent", "silent", "full")}
        stack.enter_context(closing(listener(cameras["silent"], backlog=64)))
        stack.enter_context(closing(listener(cameras["full"], backlog=0)))
        # The one connection that a backlog of 0 holds; every other waits for an answer.
        stack.enter_context(closing(socket.create_connection(("127.0.0.1", cameras["full"]))))
        mesh = stack.enter_context(Mesh(slots=SLOTS))
        mesh.up(*(f"--route=/{name}=rtsp://127.0.0.1:{port}/" for name, port in cameras.items()))
        yield Scene(mesh=mesh, cameras=cameras)


@pytest.fixture
async def camera(scene: Scene) -> AsyncIterator[MarkedCamera]:
    async with MarkedCamera(port=scene.cameras["live"]) as camera:
        await eventually(lambda: scene.mesh.slots()["resting"] == 0, "rest of the slots of the test before")
        yield camera


def listener(port: int, *, backlog: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(backlog)
    return sock


def assert_refused(response: Response, status: int, reason: str) -> None:
    """The status, and a body in which people read why."""
    text = response.body.decode()
    assert (response.status, response.headers.get("Content-Type")) == (status, "text/plain; charset=utf-8"), text
    assert reason in text


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/nowhere", 404, "no route"),
        ("/absent/x", 502, "the camera cannot be reached: "),
        ("/full/x", 504, "the camera did not answer within 5 s"),
        ("/silent/x", 504, "the camera does not answer"),
    ],
)
async def test_describe_of_what_cannot_be_had(scene: Scene, path: str, status: int, reason: str) -> None:
    assert_refused(await scene.ask("DESCRIBE", path, ("Accept", "application/sdp")), status, reason)


@pytest.mark.parametrize(
    ("method", "header", "tag"),
    [("OPTIONS", "Require", "implicit-play"), ("DESCRIBE", "Proxy-Require", "gzipped-messages")],
)
async def test_what_a_request_requires_and_nobody_has_is_named(
    scene: Scene, method: str, header: str, tag: str
) -> None:
    response = await scene.ask(method, "/live/x", (header, tag))
    assert (response.status, response.headers.get("Unsupported")) == (551, tag)


@pytest.mark.parametrize(
    ("method", "headers", "status", "reason"),
    [
        ("SETUP", {"Transport": "RTP/AVP;multicast"}, 461, "unicast"),
        ("SETUP", {"Transport": f"{UDP_OFFER};destination=192.0.2.7"}, 403, "destination 192.0.2.7"),
        ("SETUP", {"Transport": UDP_OFFER, "Session": "unknown"}, 454, "no such session"),
        ("PLAY", {}, 454, "no session"),
        ("RECORD", {}, 454, "no session"),
        ("ANNOUNCE", {}, 400, "not a session description"),
        ("FLY", {}, 501, "FLY"),
    ],
)
async def test_request_that_cannot_be_granted(
    scene: Scene, camera: MarkedCamera, method: str, headers: dict[str, str], status: int, reason: str
) -> None:
    assert_refused(await scene.ask(method, "/live/x/track=0", *headers.items()), status, reason)
    assert camera.all_sessions == []


async def test_session_without_a_free_slot_is_refused_and_one_over_tcp_is_not(
    scene: Scene, camera: MarkedCamera
) -> None:
    async with AsyncExitStack() as stack:
        for number in range(SLOTS // 2):
            await stack.enter_async_context(MarkedPlayer(scene.mesh.url(f"/live/fits{number}")))
        late = MarkedPlayer(scene.mesh.url("/live/late"))
        await late.connect()
        assert_refused(await late.set_up_track(late.tracks[0]), 453, "no free media slot")
        await late.vanish()
        async with MarkedPlayer(scene.mesh.url("/live/tcp"), LowerTransport.TCP) as tcp:
            await eventually(lambda: tcp.heard(PACKETS), "media over TCP")
    assert tcp.foreign == []


GARBAGE = (
    (505, b"OPTIONS * RTSP/3.0\r\nCSeq: 1\r\n\r\n"),
    (400, b"OPTIONS * RTSP/1.0\r\n\r\n"),
    (400, b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: -1\r\n\r\n"),
    (413, b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999\r\n\r\n"),
    (414, b"OPTIONS rtsp://x/" + b"a" * 10_000),
    (400, b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nX: " + b"a" * 40_000),
    (400, b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
    (414, b"\0" * 100_000),
)


async def test_garbage_closes_its_own_connection_only(scene: Scene, camera: MarkedCamera) -> None:
    url = scene.mesh.url
    async with MarkedPlayer(url("/live/udp")) as udp, MarkedPlayer(url("/live/tcp"), LowerTransport.TCP) as tcp:
        for status, data in GARBAGE:
            wire = await scene.wire()
            wire.write(data)
            assert_refused(await wire.response(), status, " ")
            await asyncio.wait_for(wire.closed.wait(), 5)
        for player in (udp, tcp):
            heard = player.received
            await eventually(lambda: player.received > heard + PACKETS, "more media")  # noqa: B023 - awaited here
    for player in (udp, tcp):
        assert player.foreign == []
        for track in player.tracks.values():
            assert track.numbers == list(range(len(track.arrivals)))


async def test_pipelined_requests_are_answered_in_order(scene: Scene, camera: MarkedCamera) -> None:
    wire = await scene.wire()
    url = scene.mesh.url("/live/x")
    methods = ["OPTIONS", "DESCRIBE", "GET_PARAMETER", "NONSENSE"] * (PIPELINED // 4)
    wire.write(b"".join(wire.request(method, url) for method in methods))
    answers = [await wire.response() for _ in methods]
    await wire.close()
    assert [answer.cseq for answer in answers] == list(range(1, len(methods) + 1))
    assert [int(answer.status) for answer in answers] == [200, 200, 200, 501] * (PIPELINED // 4)


async def test_request_that_comes_byte_by_byte_is_answered(scene: Scene, camera: MarkedCamera) -> None:
    wire = await scene.wire()
    for byte in wire.request("DESCRIBE", scene.mesh.url("/live/x"), body=b"why not"):
        wire.write(bytes([byte]))
        await asyncio.sleep(0)
    response = await wire.response()
    await wire.close()
    assert response.status == 200
    assert b"m=video" in response.body


@pytest.mark.timeout(90)
async def test_missing_parts_of_the_mesh_are_named() -> None:
    """No control plane, no media proxy, no control plane any more; over TCP a session needs neither."""
    async with MarkedCamera() as camera:
        with Mesh() as mesh:
            await asyncio.to_thread(mesh.proxy)
            player = MarkedPlayer(mesh.url("/live/x"))
            await player.connect()
            assert_refused(await player.wire.ask("DESCRIBE", player.url), 503, "control plane has not answered")

            control_plane = await asyncio.to_thread(mesh.serve, "--route", f"/live={camera.url}/")
            await eventually(lambda: "RTSP proxy" not in not_ready(mesh), "routes of the proxy")
            assert "no media proxy (Envoy) is connected" in not_ready(mesh)
            assert_refused(await player.set_up_track(player.tracks[0]), 503, "Envoy")
            async with MarkedPlayer(mesh.url("/live/tcp"), LowerTransport.TCP) as tcp:
                control_plane.kill()
                assert_refused(await player.set_up_track(player.tracks[0]), 503, "the control plane cannot be reached")
                await eventually(lambda: tcp.heard(PACKETS), "media over TCP")
            await player.vanish()
            await asyncio.to_thread(mesh.close)


def not_ready(mesh: Mesh) -> str:
    """Why a session would not work, in the words of the API."""
    detail: str = json.loads(mesh.fetch("GET", "/readyz")[1]).get("detail", "")
    return detail
