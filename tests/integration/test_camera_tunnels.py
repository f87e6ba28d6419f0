"""Cameras that are reached by RTSP over HTTP only, and by HTTPS, are played by everybody's players."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.test_camera_tls import written
from tests.peers.cameras import GstCamera
from tests.peers.certificates import make_certificate
from tests.peers.clip import AudioCodec, Clip, make_clip
from tests.peers.documents import lobby
from tests.peers.frames import assert_audible, assert_contiguous
from tests.peers.mesh import Mesh
from tests.peers.players import Player, Transport, play
from tests.peers.process import wait_until

pytestmark = pytest.mark.integration

FRAMES = 50
SESSION_END_SECONDS = 5.0
ENDPOINT = (
    "{{name: north, address: 127.0.0.1, port: {port}, path: /stream, transport: http, credentialsRef: {{name: ann}}}}"
)
SECRET = """\
---
apiVersion: v1
kind: Secret
metadata: {name: ann}
type: kubernetes.io/basic-auth
data: {username: YW5u, password: czNjcmV0}
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_clip(tmp_path_factory.mktemp("clip"), AudioCodec.AAC)


@pytest.mark.parametrize(
    ("player", "transport"),
    [(Player.FFMPEG, Transport.UDP), (Player.GSTREAMER, Transport.TCP), (Player.VLC, Transport.UDP)],
)
def test_everybodys_players_play_a_camera_behind_http(
    player: Player, transport: Transport, clip: Clip, tmp_path: Path
) -> None:
    """Its password, for RTSP and inside of it, is the mesh's to know; its session ends in order."""
    file = tmp_path / "mesh.yaml"
    with GstCamera(clip, options=("--user", "ann:s3cret")) as camera, Mesh() as mesh:
        file.write_text(lobby(ENDPOINT.format(port=camera.port)) + SECRET)
        mesh.up("-f", str(file))
        played = play(player, mesh.url("/"), transport, frames=FRAMES * (1 + player.breaks))
        wait_until(lambda: mesh.items("/v1/sessions") == [], SESSION_END_SECONDS, "the end of the session")
        camera.wait_for_event("teardown")
    assert_contiguous(played.frames, clip.frames, minimum=FRAMES, breaks=player.breaks)
    assert_audible(played.audio, seconds=1, rate=clip.audio_rate, channels=clip.audio_channels)


def test_a_camera_behind_https_is_verified_and_played(clip: Clip, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "localhost")
    options = ("--certificate", str(certificate.chain), "--key", str(certificate.key))
    with GstCamera(clip, options=options) as camera, Mesh() as mesh:
        file = Path(written(tmp_path, camera.port, certificate))
        file.write_text(file.read_text().replace("path: /stream", "path: /stream, transport: http"))
        mesh.up("-f", str(file))
        mesh.main.wait_for_line("the mesh is ready")
        played = play(Player.FFMPEG, mesh.url("/"), Transport.TCP, frames=FRAMES)
        camera.wait_for_event("teardown")
    assert_contiguous(played.frames, clip.frames, minimum=FRAMES)
