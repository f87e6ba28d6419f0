"""Everybody's players play through the mesh by RTSPS, by RTSP over HTTP, and by both together; every frame is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.cameras import MsmCamera
from tests.peers.certificates import make_certificate
from tests.peers.clip import bundled_clip
from tests.peers.frames import assert_audible, assert_contiguous
from tests.peers.mesh import Mesh
from tests.peers.players import Player, Transport, Tunnel, play
from tests.peers.process import wait_until

pytestmark = pytest.mark.integration

FRAMES = 50
SESSION_END_SECONDS = 5.0


@pytest.mark.parametrize(
    ("player", "scheme", "transport"),
    [
        (Player.FFMPEG, "rtsps", Transport.TCP),
        (Player.GSTREAMER, "rtsps", Transport.TCP),
        (Player.FFMPEG, "rtsp", Tunnel.HTTP),
        (Player.GSTREAMER, "rtsp", Tunnel.HTTP),
        (Player.VLC, "rtsp", Tunnel.HTTP),
        (Player.FFMPEG, "rtsp", Tunnel.HTTPS),
        (Player.GSTREAMER, "rtsp", Tunnel.HTTPS),
    ],
)
def test_player_decodes_every_frame_of_the_camera(
    player: Player, scheme: str, transport: Transport | Tunnel, tmp_path: Path
) -> None:
    """A session of a tunnel is one over TCP, and ends when the player says so."""
    certificate = make_certificate(tmp_path, "localhost")
    clip = bundled_clip()
    with MsmCamera() as camera, Mesh() as mesh:
        mesh.up("--route", f"/lobby={camera.url}", "--log-level", "debug", *mesh.secured(certificate))
        place = mesh.rtsps if scheme == "rtsps" or transport is Tunnel.HTTPS else mesh.rtsp

        def transport_is_tcp() -> None:
            assert [session["transport"] for session in mesh.items("/v1/sessions")] == ["tcp"]

        played = play(
            player,
            f"{scheme}://{place}/lobby",
            transport,
            frames=FRAMES * (1 + player.breaks),
            while_playing=transport_is_tcp,
        )
        wait_until(lambda: mesh.items("/v1/sessions") == [], SESSION_END_SECONDS, "the end of the session")
        assert ("a tunnel is open" in mesh.main.output) is isinstance(transport, Tunnel)

    assert_contiguous(played.frames, clip.frames, minimum=FRAMES, breaks=player.breaks)
    assert_audible(played.audio, seconds=1, rate=clip.audio_rate, channels=clip.audio_channels)
