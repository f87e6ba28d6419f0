"""Everybody's players play everybody's cameras through the mesh, and every decoded frame is the camera's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import pytest

from tests.peers.cameras import GstCamera, MsmCamera
from tests.peers.clip import AudioCodec, Clip, bundled_clip
from tests.peers.frames import assert_audible, assert_contiguous
from tests.peers.mesh import Mesh
from tests.peers.players import Player, Transport, play
from tests.peers.process import wait_until

pytestmark = pytest.mark.integration

# Two seconds; a player that skips by itself needs more, so that one piece is this long.
FRAMES = 50
# The players say goodbye, so nothing waits for a timeout.
SESSION_END_SECONDS = 5.0


class Camera(StrEnum):
    """The cameras behind the mesh."""

    BUNDLED = "bundled"
    GSTREAMER_AAC = "gstreamer-aac"
    GSTREAMER_PCMU = "gstreamer-pcmu"


@contextmanager
def camera_running(kind: Camera, clips: dict[AudioCodec, Clip]) -> Iterator[tuple[str, Clip]]:
    """The camera's URL, and the clip that it plays."""
    if kind is Camera.BUNDLED:
        with MsmCamera() as bundled:
            yield bundled.url, bundled_clip()
        return
    clip = clips[AudioCodec.AAC if kind is Camera.GSTREAMER_AAC else AudioCodec.PCMU]
    with GstCamera(clip) as camera:
        yield camera.url, clip


@pytest.mark.parametrize("kind", list(Camera))
@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("player", list(Player))
def test_player_decodes_every_frame_of_the_camera_through_the_mesh(
    player: Player, transport: Transport, kind: Camera, clips: dict[AudioCodec, Clip]
) -> None:
    with camera_running(kind, clips) as (url, clip), Mesh() as mesh:
        mesh.up("--route", f"/lobby={url}")

        def transport_is_as_asked() -> None:
            assert [session["transport"] for session in mesh.items("/v1/sessions")] == [transport]

        played = play(
            player,
            mesh.url("/lobby"),
            transport,
            frames=FRAMES * (1 + player.breaks),
            while_playing=transport_is_as_asked,
        )
        wait_until(lambda: mesh.items("/v1/sessions") == [], SESSION_END_SECONDS, "the end of the session")

    assert_contiguous(played.frames, clip.frames, minimum=FRAMES, breaks=player.breaks)
    assert_audible(played.audio, seconds=1, rate=clip.audio_rate, channels=clip.audio_channels)
