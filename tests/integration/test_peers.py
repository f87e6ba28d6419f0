"""The peers themselves, without the mesh: when these pass, a failure through the mesh is the mesh's."""

from __future__ import annotations

import pytest

from tests.peers.cameras import GstCamera, MsmCamera
from tests.peers.clip import AudioCodec, Clip, bundled_clip
from tests.peers.frames import assert_audible, assert_contiguous
from tests.peers.players import Player, Transport, play

pytestmark = pytest.mark.integration

# Two seconds; a player that skips by itself needs more, so that one piece is this long.
FRAMES = 50


@pytest.mark.parametrize("audio", list(AudioCodec))
@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("player", list(Player))
def test_player_decodes_every_frame_of_the_camera(
    player: Player, transport: Transport, audio: AudioCodec, clips: dict[AudioCodec, Clip]
) -> None:
    clip = clips[audio]
    with GstCamera(clip) as camera:
        played = play(player, camera.url, transport, frames=FRAMES * (1 + player.breaks))
        camera.wait_for_event("teardown")

    assert_contiguous(played.frames, clip.frames, minimum=FRAMES, breaks=player.breaks)
    assert_audible(played.audio, seconds=1, rate=clip.audio_rate, channels=clip.audio_channels)


@pytest.mark.parametrize("player", [Player.FFMPEG, Player.GSTREAMER])
def test_lost_packets_show(player: Player) -> None:
    with MsmCamera("--loss", "5%") as camera:
        played = play(player, camera.url, Transport.UDP, frames=FRAMES)

    with pytest.raises(AssertionError, match=r"jumps|not in the clip"):
        assert_contiguous(played.frames, bundled_clip().frames, minimum=1, breaks=player.breaks)
