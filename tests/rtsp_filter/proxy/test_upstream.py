"""What a camera may ask of the proxy, over a real connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from rtsp_filter.proxy.upstream import Upstream

SECONDS = 5.0


@dataclass(eq=False)
class Scene:
    """A camera's end of a connection, and the proxy's."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    upstream: Upstream
    over: list[str] = field(default_factory=list)

    async def ask(self, method: str, *lines: str, body: str = "") -> str:
        """The status line of the proxy's answer to the camera."""
        head = "\r\n".join([f"{method} rtsp://mesh/x RTSP/1.0", "CSeq: 7", *lines, f"Content-Length: {len(body)}"])
        self.writer.write(f"{head}\r\n\r\n{body}".encode())
        async with asyncio.timeout(SECONDS):
            answer = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        assert "CSeq: 7" in answer
        return answer.splitlines()[0]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    met: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(lambda *streams: met.set_result(streams), "127.0.0.1", 0)
    upstream = await Upstream.connect(*server.sockets[0].getsockname()[:2])
    reader, writer = await met
    made = Scene(reader=reader, writer=writer, upstream=upstream)
    upstream.on_closed = made.over.append
    yield made
    upstream.close()
    writer.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("method", ["OPTIONS", "GET_PARAMETER", "SET_PARAMETER"])
async def test_a_camera_that_asks_for_a_sign_of_life_gets_one(scene: Scene, method: str) -> None:
    assert await scene.ask(method) == "RTSP/1.0 200 OK"
    assert scene.over == []


async def test_after_a_redirect_of_the_camera_the_session_is_over(scene: Scene) -> None:
    assert await scene.ask("REDIRECT", "Location: rtsp://192.0.2.1/y") == "RTSP/1.0 200 OK"
    assert scene.over == ["the camera sends its clients elsewhere (REDIRECT)"]
    assert scene.upstream.closed is None


@pytest.mark.parametrize(("method", "body"), [("SET_PARAMETER", "volume: 3"), ("ANNOUNCE", "v=0"), ("PLAY_NOTIFY", "")])
async def test_what_only_a_player_could_answer_is_not_implemented(scene: Scene, method: str, body: str) -> None:
    assert (await scene.ask(method, body=body)).startswith("RTSP/1.0 501")
