"""What a camera asks its client passes through to it, and the answer back; what the mesh can answer does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from rtsp_filter.proxy.limits import MAX_QUESTIONS_TO_CLIENT
from rtsp_filter.rtsp import Headers, LowerTransport, Request, Response, StatusCode, respond
from tests.peers.marked_camera import CameraConnection, MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import running_mesh

pytestmark = pytest.mark.integration

SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A camera with one session, and the player whose session it is."""

    camera: MarkedCamera
    player: MarkedPlayer

    @property
    def _connection(self) -> CameraConnection:
        [connection] = self.camera.connections
        return connection

    def ask(self, method: str, body: bytes = b"", *headers: tuple[str, str], version: str = "RTSP/1.0") -> None:
        """The camera asks about the session."""
        session = self.camera.session(self.player.name)
        numbered = Headers([("CSeq", "77"), ("Session", session.id), *headers])
        url = f"{self.camera.url}/live/{self.player.name}"
        self._connection.write(Request(method=method, url=url, headers=numbered, body=body, version=version).encode())

    async def asked(self) -> Request:
        """What the player is asked."""
        async with asyncio.timeout(SECONDS):
            return await self.player.wire.asked.get()

    def answer(self, request: Request, status: StatusCode, body: bytes = b"") -> None:
        """The player answers."""
        self.player.wire.write(respond(request, status, body=body).encode())

    async def answered(self) -> Response:
        """What the camera is answered."""
        async with asyncio.timeout(SECONDS):
            return await self.camera.answers.get()


@pytest.fixture(params=[LowerTransport.UDP, LowerTransport.TCP])
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    async with (
        MarkedCamera() as camera,
        running_mesh("--route", f"/lobby={camera.url}/live/") as mesh,
        MarkedPlayer(mesh.url("/lobby/one"), request.param) as player,
    ):
        yield Scene(camera=camera, player=player)


async def test_a_parameter_of_the_camera_reaches_the_player_and_its_answer_the_camera(scene: Scene) -> None:
    scene.ask("SET_PARAMETER", b"volume: 3\r\n", ("Content-Type", "text/parameters"))
    asked = await scene.asked()
    assert (asked.method, asked.body) == ("SET_PARAMETER", b"volume: 3\r\n")
    assert asked.url.rstrip("/") == scene.player.url
    assert asked.headers.get("Session") == scene.player.session
    assert asked.headers.get("Content-Type") == "text/parameters"
    scene.answer(asked, StatusCode.PARAMETER_NOT_UNDERSTOOD)
    answer = await scene.answered()
    assert (answer.status, answer.cseq) == (451, 77)


async def test_an_answers_body_reaches_the_camera(scene: Scene) -> None:
    scene.ask("GET_PARAMETER", b"packets_received\r\n")
    scene.answer(await scene.asked(), StatusCode.OK, b"packets_received: 10\r\n")
    assert (await scene.answered()).body == b"packets_received: 10\r\n"


async def test_a_stream_that_changes_is_announced_without_the_cameras_addresses(scene: Scene) -> None:
    sdp = "v=0\r\no=- 1 2 IN IP4 192.0.2.10\r\ns=new\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
    control = f"a=control:{scene.camera.url}/live/one/track=0\r\n"
    scene.ask("ANNOUNCE", (sdp + control).encode(), ("Content-Type", "application/sdp"))
    asked = await scene.asked()
    assert b"s=new" in asked.body
    assert b"192.0.2.10" not in asked.body
    assert scene.camera.url.encode() not in asked.body
    scene.answer(asked, StatusCode.OK)
    assert (await scene.answered()).status == 200


async def test_what_is_no_description_is_refused_here(scene: Scene) -> None:
    scene.ask("ANNOUNCE", b"what", ("Content-Type", "application/sdp"))
    assert (await scene.answered()).status == 400
    assert scene.player.wire.asked.empty()


async def test_a_sign_of_life_and_a_notice_of_version_2_are_answered_for_a_player_of_version_1(scene: Scene) -> None:
    scene.ask("GET_PARAMETER")
    assert (await scene.answered()).status == 200
    scene.ask("PLAY_NOTIFY", b"", ("Notify-Reason", "end-of-stream"), version="RTSP/2.0")
    assert (await scene.answered()).status == 200
    assert scene.player.wire.asked.empty()


async def test_a_player_that_does_not_answer_is_asked_only_so_much(scene: Scene) -> None:
    for _ in range(MAX_QUESTIONS_TO_CLIENT + 1):
        scene.ask("SET_PARAMETER", b"volume: 3\r\n")
    assert (await scene.answered()).status == 503
    late = [await scene.answered() for _ in range(MAX_QUESTIONS_TO_CLIENT)]
    assert {answer.status for answer in late} == {504}
    assert (await scene.player.ask("GET_PARAMETER")).status == 200
