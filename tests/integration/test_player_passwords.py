"""Players that other people wrote answer the questions that our side asks for a password."""

from __future__ import annotations

import asyncio

import pytest

from tests.peers.guarded_camera import GuardedCamera
from tests.peers.players import Player, Transport, play
from tests.peers.process import ProcessError

pytestmark = pytest.mark.integration

FRAMES = 5
# Long enough for a player to give up.
REFUSAL_SECONDS = 10.0


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
