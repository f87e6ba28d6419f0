"""Players get their media by their own transport from cameras that know only the other one, every frame of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.cameras import GstCamera, MsmCamera
from tests.peers.clip import AudioCodec, Clip, bundled_clip
from tests.peers.frames import assert_audible, assert_contiguous
from tests.peers.mesh import Mesh
from tests.peers.players import Player, Transport, play
from tests.peers.process import wait_until

pytestmark = pytest.mark.integration

FRAMES = 50
SESSION_END_SECONDS = 5.0
DOCUMENTS = """\
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {{name: camera}}
spec:
  endpoints:
  - {{name: camera, address: 127.0.0.1, port: {port}, path: /clip, transport: {transport}}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {{name: lobby}}
spec:
  rules:
  - matches:
    - path: {{type: PathPrefix, value: /lobby}}
    filters:
    - {{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /}}}}}}
    backendRefs:
    - {{group: mediastreamingmesh.io, kind: Backend, name: camera}}
"""
OTHER = {Transport.UDP: "tcp", Transport.TCP: "udp"}


@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("player", list(Player))
def test_a_camera_that_refuses_the_players_transport_is_asked_for_the_other_one(
    player: Player, transport: Transport, clips: dict[AudioCodec, Clip]
) -> None:
    clip = clips[AudioCodec.AAC]
    with GstCamera(clip, protocols=OTHER[transport]) as camera, Mesh() as mesh:
        mesh.up("--route", f"/lobby={camera.url}")

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
        wait_until(lambda: mesh.slots()["open"] == 0, SESSION_END_SECONDS, "the slots to be given back")

    assert_contiguous(played.frames, clip.frames, minimum=FRAMES, breaks=player.breaks)
    assert_audible(played.audio, seconds=1, rate=clip.audio_rate, channels=clip.audio_channels)


@pytest.mark.parametrize("transport", list(Transport))
def test_a_backend_says_how_its_media_comes_and_the_player_how_it_goes(transport: Transport, tmp_path: Path) -> None:
    clip = bundled_clip()
    with MsmCamera() as camera, Mesh() as mesh:
        port = camera.url.split(":")[2].split("/")[0]
        (tmp_path / "route.yaml").write_text(DOCUMENTS.format(port=port, transport=OTHER[transport]))
        mesh.up("--file", str(tmp_path))

        def slots_are_in_use() -> None:
            assert mesh.slots()["open"] > 0

        played = play(Player.FFMPEG, mesh.url("/lobby"), transport, frames=FRAMES, while_playing=slots_are_in_use)
    assert_contiguous(played.frames, clip.frames, minimum=FRAMES, breaks=0)
