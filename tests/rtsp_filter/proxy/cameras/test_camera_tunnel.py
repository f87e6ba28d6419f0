"""A tunnel to a camera, over real connections: what goes wrong at each step, and that nothing is left open."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest

from rtsp_filter.proxy.cameras.upstream import Upstream, UpstreamError
from rtsp_filter.proxy.limits import MAX_EARLY_BYTES
from rtsp_filter.resources.access import Access
from rtsp_filter.rtsp import Credentials
from tests.peers.rtsp_wire import eventually

SECONDS = 5.0
OPEN = b"HTTP/1.0 200 OK\r\n\r\n"
ANN = Credentials(username="ann", password="s3cret")  # noqa: S106


class HTTPCamera:
    """Answers each GET with the next of `answers`, and listens to POSTs."""

    def __init__(self) -> None:
        self.port = 0
        self.answers: list[bytes] = []
        self.heads: list[str] = []
        self.posted = b""
        self.open: dict[str, asyncio.StreamWriter] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        method = head.split()[0]
        self.open[method] = writer
        if method == "GET":
            writer.write(self.answers.pop(0))
        try:
            while data := await reader.read(1024):
                self.posted += data
        except ConnectionError:
            pass
        writer.close()
        if self.open.get(method) is writer:
            del self.open[method]


@pytest.fixture
async def camera() -> AsyncIterator[HTTPCamera]:
    made = HTTPCamera()
    serving: set[asyncio.Task[None]] = set()
    server = await asyncio.start_server(
        lambda *streams: serving.add(asyncio.create_task(made.serve(*streams))), "127.0.0.1", 0
    )
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    for writer in list(made.open.values()):
        writer.close()
    await asyncio.gather(*serving)


async def connect(camera: HTTPCamera, credentials: Credentials | None = None) -> Upstream:
    access = Access(tunnelled=True, credentials=credentials)
    return await Upstream.connect("127.0.0.1", camera.port, access=access, path="/cam?x=1")


async def test_requests_go_out_in_base64_and_answers_come_in_as_they_are(camera: HTTPCamera) -> None:
    camera.answers = [OPEN]
    upstream = await connect(camera)
    asked = asyncio.create_task(upstream.request("OPTIONS", "rtsp://cam/"))
    await eventually(lambda: camera.posted, "a request")
    assert base64.b64decode(camera.posted).startswith(b"OPTIONS rtsp://cam/ RTSP/1.0\r\nCSeq: 1\r\n")
    camera.open["GET"].write(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")
    async with asyncio.timeout(SECONDS):
        assert (await asked).status == 200
    cookies = {line for head in camera.heads for line in head.splitlines() if "cookie" in line}
    assert ([head.split()[:2] for head in camera.heads], len(cookies)) == (
        [["GET", "/cam?x=1"], ["POST", "/cam?x=1"]],
        1,
    )
    upstream.close()
    await eventually(lambda: not camera.open, "the end of both halves")


@pytest.mark.parametrize("half", ["GET", "POST"])
async def test_with_either_half_all_is_over(camera: HTTPCamera, half: str) -> None:
    camera.answers = [OPEN]
    upstream = await connect(camera)
    over: list[str] = []
    upstream.on_closed = over.append
    await eventually(lambda: half in camera.open, "both halves")
    camera.open[half].close()
    await eventually(lambda: over and not camera.open, "the end of both halves")
    assert len(over) == 1
    assert over[0].startswith("the camera closed the connection")


async def test_a_password_that_http_asks_for_is_told(camera: HTTPCamera) -> None:
    """On both halves, each for itself."""
    camera.answers = [b'HTTP/1.0 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n\r\n', OPEN]
    upstream = await connect(camera, ANN)
    await eventually(lambda: len(camera.heads) == 3, "three heads")
    assert "Authorization" not in camera.heads[0]
    assert "nc=00000001" in camera.heads[1]
    assert "nc=00000002" in camera.heads[2]
    assert all('uri="/cam?x=1"' in head for head in camera.heads[1:])
    upstream.close()
    await eventually(lambda: not camera.open, "the end of all connections")


@pytest.mark.parametrize(
    ("answers", "credentials", "expected"),
    [
        ([b"HTTP/1.0 404 Not Found\r\n\r\n"], None, "it refuses RTSP over HTTP: 404 Not Found"),
        ([b"HTTP/1.0 401 Unauthorized\r\n\r\n"], None, "it refuses RTSP over HTTP: 401 Unauthorized"),
        ([b"HTTP/1.0 401 No\r\nWWW-Authenticate: Basic\r\n\r\n"] * 2, ANN, "it refuses RTSP over HTTP: 401 No"),
        ([b"RTSP/1.0 400 Bad Request\r\n\r\n"], None, "it does not speak HTTP at this port"),
    ],
)
async def test_a_camera_that_has_no_tunnels_is_left(
    camera: HTTPCamera, answers: list[bytes], credentials: Credentials | None, expected: str
) -> None:
    camera.answers = answers
    with pytest.raises(UpstreamError, match=f"the camera cannot be reached: {expected}") as caught:
        await connect(camera, credentials)
    assert caught.value.status == 502
    await eventually(lambda: not camera.open, "the end of all connections")


async def test_a_camera_that_says_too_much_before_it_is_asked_is_left(camera: HTTPCamera) -> None:
    empty_frame = b"$\0\0\0"
    camera.answers = [OPEN + empty_frame * (MAX_EARLY_BYTES // len(empty_frame) + 1)]
    with pytest.raises(UpstreamError, match="it closed the connection of its GET"):
        await connect(camera)
    await eventually(lambda: not camera.open, "the end of both halves")
