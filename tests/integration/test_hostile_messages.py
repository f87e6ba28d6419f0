"""What one connection may send: each limit is met exactly, then passed by one, at a proxy that goes on for others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from rtsp_filter.proxy.limits import MAX_DESCRIBED, MAX_SESSIONS_PER_CONNECTION, MAX_SHOWN_URL
from rtsp_filter.rtsp import Limits, LowerTransport, Response
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh
from tests.peers.ports import reserve_ports
from tests.peers.rtsp_wire import RTSPWire, eventually
from tests.rtsp_filter.fuzz.fuzzer import CORPUS

pytestmark = pytest.mark.integration

LIMITS = Limits()
PACKETS = 10
# What the kernel holds of a connection besides, on both ends: what a proxy that has stopped reading still lets pass.
KERNEL_BYTES = 16 * 1024 * 1024
# Without a byte of progress for so long, a connection is not read.
STUCK_SECONDS = 0.5


@pytest.fixture(scope="module")
def camera_port() -> Iterator[int]:
    with reserve_ports(1) as ports:
        yield ports.take()


@pytest.fixture(scope="module")
def mesh(camera_port: int) -> Iterator[Mesh]:
    """With a camera that works, if a test has one, and one that never answers."""
    with ExitStack() as stack:
        silent = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0), backlog=64)))
        mesh = stack.enter_context(Mesh(slots=2 * MAX_SESSIONS_PER_CONNECTION))
        cameras = {"live": camera_port, "silent": silent.getsockname()[1]}
        mesh.up(*(f"--route=/{name}=rtsp://127.0.0.1:{port}/" for name, port in cameras.items()))
        yield mesh


@pytest.fixture
async def camera(camera_port: int) -> AsyncIterator[MarkedCamera]:
    async with MarkedCamera(port=camera_port) as camera:
        yield camera


async def wire_to(mesh: Mesh) -> RTSPWire:
    host, _, port = mesh.rtsp.rpartition(":")
    return await RTSPWire.open(host, int(port))


def start_line(length: int) -> bytes:
    """A request whose start line, carriage return included, has this many bytes."""
    line = b"OPTIONS rtsp://h/%s RTSP/1.0\r"
    return line % (b"x" * (length - len(line % b""))) + b"\nCSeq: 1\r\n\r\n"


def head(length: int) -> bytes:
    """A request whose head, the blank line included, has this many bytes."""
    text = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nX: %s\r\n\r\n"
    return text % (b"x" * (length - len(text % b"")))


def headers(count: int) -> bytes:
    return b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n" + b"X: y\r\n" * (count - 1) + b"\r\n"


def blank(count: int) -> bytes:
    return b"\n" * count + b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"


def body(length: int) -> bytes:
    return b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: %d\r\n\r\n" % length + b"x" * length


@pytest.mark.parametrize(
    ("build", "limit", "status"),
    [
        (start_line, LIMITS.start_line_bytes, 414),
        (head, LIMITS.head_bytes, 400),
        (headers, LIMITS.headers, 400),
        (blank, LIMITS.blank_bytes, 400),
        (body, LIMITS.body_bytes, 413),
    ],
)
async def test_message_at_its_limit_is_answered_and_one_beyond_ends_its_connection(
    build: Callable[[int], bytes], limit: int, status: int, mesh: Mesh
) -> None:
    for size, expected in ((limit, 200), (limit + 1, status)):
        wire = await wire_to(mesh)
        wire.write(build(size))
        response: Response = await wire.response()
        assert response.status == expected
        if expected != 200:
            await asyncio.wait_for(wire.closed.wait(), 5)
        else:
            await wire.close()


async def test_a_refusal_repeats_little_of_what_it_refuses(mesh: Mesh) -> None:
    wire = await wire_to(mesh)
    refused = await wire.ask("DESCRIBE", mesh.url("/nowhere/" + LIMITS.start_line_bytes // 2 * "x"))
    await wire.close()
    assert refused.status == 404
    assert len(refused.body) < 3 * MAX_SHOWN_URL


def taken(mesh: Mesh, piece: bytes) -> int:
    """How many bytes a proxy takes of pieces without an end, until it reads no more."""
    host, _, port = mesh.rtsp.rpartition(":")
    with socket.create_connection((host, int(port))) as client:
        client.settimeout(STUCK_SECONDS)
        sent = 0
        with suppress(TimeoutError):
            while sent < 4 * KERNEL_BYTES:
                sent += client.send(piece)
        return sent


@pytest.mark.parametrize("body_bytes", [0, LIMITS.body_bytes - 1])
async def test_requests_that_wait_their_turn_are_bounded_and_then_nothing_is_read(body_bytes: int, mesh: Mesh) -> None:
    """The first one waits for a camera that never answers."""
    first = b"DESCRIBE %s RTSP/1.0\r\nCSeq: 1\r\n\r\n" % mesh.url("/silent/x").encode()
    more = b"SET_PARAMETER * RTSP/1.0\r\nCSeq: 2\r\nContent-Length: %d\r\n\r\n" % body_bytes + b"x" * body_bytes
    assert await asyncio.to_thread(taken, mesh, first + more * (1 + 100_000 // len(more))) < KERNEL_BYTES
    assert (await ask(mesh)).status == 200


async def ask(mesh: Mesh) -> Response:
    """A request of somebody else."""
    wire = await wire_to(mesh)
    try:
        return await wire.ask("OPTIONS", "*")
    finally:
        await wire.close()


async def test_connection_that_describes_many_streams_keeps_few_connections_to_cameras(
    mesh: Mesh, camera: MarkedCamera
) -> None:
    wire = await wire_to(mesh)
    for number in range(2 * MAX_DESCRIBED):
        assert (await wire.ask("DESCRIBE", mesh.url(f"/live/s{number}"))).status == 200
    await eventually(lambda: len(camera.connections) == MAX_DESCRIBED, "the end of the oldest connections")
    await wire.close()
    await eventually(lambda: not camera.connections, "the end of the others")


async def test_connection_has_a_bounded_number_of_sessions(mesh: Mesh, camera: MarkedCamera) -> None:
    wire = await wire_to(mesh)

    async def set_up(number: int) -> Response:
        offer = f"RTP/AVP;unicast;client_port={40000 + 2 * number}-{40001 + 2 * number}"
        return await wire.ask("SETUP", mesh.url(f"/live/s{number}/track=0"), ("Transport", offer))

    sessions = [(await set_up(number)).headers.get("Session") or "" for number in range(MAX_SESSIONS_PER_CONNECTION)]
    refused = await set_up(MAX_SESSIONS_PER_CONNECTION)
    assert (refused.status, b"has its 16 sessions" in refused.body) == (453, True)
    for session in sessions:
        assert (await wire.ask("TEARDOWN", mesh.url("/live/s"), ("Session", session))).status == 200
    await wire.close()
    await eventually(lambda: mesh.items("/v1/sessions") == [], "the end of the sessions")


async def test_one_connection_carries_the_frames_of_one_session_only(mesh: Mesh, camera: MarkedCamera) -> None:
    async with MarkedPlayer(mesh.url("/live/first"), LowerTransport.TCP) as player:
        offer = ("Transport", "RTP/AVP/TCP;unicast;interleaved=4-5")
        refused = await player.wire.ask("SETUP", mesh.url("/live/second/track=0"), offer)
        assert (refused.status, b"already carries" in refused.body) == (403, True)
        heard = player.received
        await eventually(lambda: player.received > heard + PACKETS, "more media")
    assert player.foreign == []


CASES = [path for target in ("parser", "client", "camera", "answer") for path in sorted((CORPUS / target).iterdir())]


async def test_everything_that_fuzzing_found_disturbs_nobody_else(mesh: Mesh, camera: MarkedCamera) -> None:
    async with MarkedPlayer(mesh.url("/live/good"), LowerTransport.TCP) as player:
        for case in CASES:
            await asyncio.to_thread(throw, mesh, case)
        heard = player.received
        await eventually(lambda: player.received > heard + PACKETS, "more media")
    assert player.foreign == []
    for track in player.tracks.values():
        assert track.numbers == list(range(len(track.numbers)))


def throw(mesh: Mesh, case: Path) -> None:
    host, _, port = mesh.rtsp.rpartition(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(case.read_bytes())
        client.shutdown(socket.SHUT_WR)
        client.settimeout(5)
        with suppress(ConnectionResetError):
            while client.recv(65536):
                pass
