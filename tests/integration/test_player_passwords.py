"""Players that other people wrote answer the questions that our side asks for a password."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

import pytest

from rtsp_filter.camera import Camera, CameraSettings
from rtsp_filter.camera.connection import Connection
from rtsp_filter.rtsp import Gate, Nonces, Request, Response, Secret, StatusCode, UnauthorizedError, respond
from rtsp_filter.rtsp.nonces import KEY_BYTES
from tests.peers.players import Player, Transport, play
from tests.peers.process import ProcessError

pytestmark = pytest.mark.integration

REALM = "mesh"
FRAMES = 5
# Long enough for a player to give up.
REFUSAL_SECONDS = 10.0
PEER = "127.0.0.1"


class GuardedCamera(Camera):
    """The bundled camera behind a gate; what passed is told by method."""

    def __init__(self, *, basic: bool = False) -> None:
        super().__init__(CameraSettings(port=0))
        self.passed: list[str] = []
        self.refused: list[str] = []
        gate = Gate(
            realm=REALM,
            users={"ann": Secret.of("ann", REALM, "se:cret")},
            nonces=Nonces(secrets.token_bytes(KEY_BYTES)),
        )
        self._gate = replace(gate, digests=(), basic=True) if basic else gate

    def request_received(self, connection: Connection, request: Request) -> Response:
        try:
            self._gate.user(request, PEER, self._loop.time())
        except UnauthorizedError as error:
            self.refused.append(str(error))
            return respond(request, StatusCode.UNAUTHORIZED, error.headers)
        self.passed.append(request.method)
        return super().request_received(connection, request)

    def url_of(self, credentials: str) -> str:
        return self.url.replace("rtsp://", f"rtsp://{credentials}@") + "?channel=1"


@pytest.mark.parametrize("basic", [False, True])
@pytest.mark.parametrize("player", list(Player))
async def test_player_with_the_right_password_plays(player: Player, basic: bool) -> None:
    async with GuardedCamera(basic=basic) as camera:
        await asyncio.to_thread(play, player, camera.url_of("ann:se%3Acret"), Transport.TCP, frames=FRAMES)
    assert {"DESCRIBE", "SETUP", "PLAY"} <= set(camera.passed)
    assert set(camera.refused) == {"a password is needed"}


@pytest.mark.parametrize("player", [Player.FFMPEG, Player.GSTREAMER])
async def test_player_with_a_wrong_password_is_refused(player: Player) -> None:
    async with GuardedCamera() as camera:
        with pytest.raises(ProcessError):
            await asyncio.to_thread(
                play, player, camera.url_of("ann:wrong"), Transport.TCP, frames=FRAMES, timeout=REFUSAL_SECONDS
            )
    assert "PLAY" not in camera.passed
    assert camera.refused[-1] == "the user name or the password is wrong"
