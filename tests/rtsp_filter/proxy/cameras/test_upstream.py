"""What a camera may ask of the proxy, over a real connection."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from rtsp_filter.proxy.cameras.upstream import Upstream, UpstreamError
from rtsp_filter.relays.endpoint_book import Count, Tally
from rtsp_filter.resources.access import PLAIN, Access
from rtsp_filter.rtsp import Credentials, Response, SessionHeader
from tests.peers.ports import reserve_ports
from tests.peers.rtsp_wire import eventually

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


async def test_connections_and_signs_of_life_are_counted(scene: Scene) -> None:
    tally = Tally(lambda: None)
    scene.upstream.counted_in(tally)
    assert (tally.counts[Count.CONNECTIONS], tally.counts[Count.OPENED_CONNECTIONS]) == (1, 1)
    scene.upstream.keepalive_url = "rtsp://camera/x"
    scene.upstream.resume(SessionHeader(id="1", timeout=1), public=(), version="RTSP/1.0")
    async with asyncio.timeout(SECONDS):
        asked = await scene.reader.readuntil(b"\r\n\r\n")
    assert asked.startswith(b"OPTIONS")
    assert (tally.counts[Count.KEEPALIVES], tally.counts[Count.FAILED_KEEPALIVES]) == (1, 0)
    (cseq,) = re.findall(rb"CSeq: (\d+)", asked)
    scene.writer.write(b"RTSP/1.0 454 Session Not Found\r\nCSeq: " + cseq + b"\r\n\r\n")
    await eventually(lambda: scene.over, "the end of the session")
    assert (tally.counts[Count.KEEPALIVES], tally.counts[Count.FAILED_KEEPALIVES]) == (1, 1)
    assert (tally.counts[Count.CONNECTIONS], tally.counts[Count.OPENED_CONNECTIONS]) == (0, 1)


async def test_a_connection_that_is_lost_already_is_not_counted(scene: Scene) -> None:
    tally = Tally(lambda: None)
    scene.writer.close()
    await eventually(lambda: scene.over, "the end of the connection")
    scene.upstream.counted_in(tally)
    assert tally.counts[Count.CONNECTIONS] == 0


ANN = Access(credentials=Credentials(username="ann", password="s3cret"))  # noqa: S106
OWN = ("Authorization", "Basic b3duOm93bg==")
QUESTION = ("401 Unauthorized", 'WWW-Authenticate: Basic realm="cam"')


async def asked_of(access: Access, *answers: tuple[str, ...]) -> tuple[Response, list[str]]:
    """What a camera that gives these answers is asked, with a password of the player, and the last answer."""
    heads: list[str] = []
    waiting = list(answers)
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in waiting:
            heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            (cseq,) = re.findall(r"CSeq: (\d+)", heads[-1])
            writer.write("\r\n".join([f"RTSP/1.0 {answer[0]}", f"CSeq: {cseq}", *answer[1:], "\r\n"]).encode())
        writer.close()
        over.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    upstream = await Upstream.connect(*server.sockets[0].getsockname()[:2], access=access)
    try:
        async with asyncio.timeout(SECONDS):
            return await upstream.request("DESCRIBE", "rtsp://cam/x", headers=[OWN, ("Accept", "a/b")]), heads
    finally:
        upstream.close()
        await over.wait()
        server.close()
        await server.wait_closed()


async def test_a_camera_is_told_the_meshs_password_and_never_the_players() -> None:
    response, heads = await asked_of(ANN, QUESTION, ("200 OK",))
    assert response.status == 200
    assert "Authorization" not in heads[0]
    assert "Authorization: Basic YW5uOnMzY3JldA==" in heads[1]
    assert OWN[1] not in "".join(heads)
    assert all("Accept: a/b" in head for head in heads)


@pytest.mark.parametrize(
    ("access", "answers", "expected"),
    [
        (ANN, (QUESTION, QUESTION), "the camera refuses the user name and the password that the mesh has for it"),
        (ANN, (("401 Unauthorized", "WWW-Authenticate: Negotiate"),), "the camera refuses the user name and the"),
        (Access(withheld=True), (QUESTION,), "redirects to another port, which asks for a password"),
    ],
)
async def test_a_question_that_the_mesh_cannot_answer_is_none_for_players(
    access: Access, answers: tuple[tuple[str, ...], ...], expected: str
) -> None:
    with pytest.raises(UpstreamError, match=expected) as caught:
        await asked_of(access, *answers)
    assert caught.value.status == 502


async def test_where_the_mesh_knows_no_password_questions_and_answers_pass() -> None:
    response, heads = await asked_of(PLAIN, QUESTION)
    assert (response.status, response.headers.get("WWW-Authenticate")) == (401, 'Basic realm="cam"')
    assert f"{OWN[0]}: {OWN[1]}" in heads[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_why_a_camera_cannot_be_reached_does_not_say_where_it_is(host: str) -> None:
    with reserve_ports(1) as ports, pytest.raises(UpstreamError) as error:
        await Upstream.connect(host, ports.first)
    assert str(error.value) in (
        "the camera cannot be reached: Connection refused",
        "the camera cannot be reached: none of its addresses answers",
    )
    assert error.value.camera == f"{host}:{ports.first}"
