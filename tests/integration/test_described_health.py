"""A camera whose codec is not the one that was expected gets no sessions, even one that asks for a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.cameras import GstCamera
from tests.peers.clip import AudioCodec, Clip
from tests.peers.documents import lobby
from tests.peers.frames import assert_contiguous
from tests.peers.mesh import Mesh
from tests.peers.players import Player, Transport, play
from tests.peers.ports import PortRange

pytestmark = pytest.mark.integration

FRAMES = 25
ENDPOINT = "{{name: {name}, address: 127.0.0.1, port: {port}, credentialsRef: {{name: camera}}}}"
DOCUMENTS = """\
---
apiVersion: v1
kind: Secret
metadata: {name: camera}
type: kubernetes.io/basic-auth
stringData: {username: ann, password: word}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: MediaPolicy
metadata: {name: lobby}
spec:
  targetRefs: [{kind: Backend, name: lobby}]
  healthCheck:
    type: RTSP
    interval: 2s
    timeout: 2s
    unhealthyThreshold: 2
    describe: {path: /stream, codecs: [video/H264, audio/MPEG4-GENERIC]}
"""


@pytest.mark.parametrize("options", [(), ("--user", "ann:word")], ids=["open", "guarded"])
def test_a_camera_whose_codec_has_changed_is_taken_out(
    options: tuple[str, ...], clips: dict[AudioCodec, Clip], ports: PortRange, tmp_path: Path
) -> None:
    file, right = tmp_path / "mesh.yaml", clips[AudioCodec.AAC]
    with GstCamera(right, options=options) as south, Mesh() as mesh:
        north_port = ports.take()
        endpoints = (("north", north_port), ("south", south.port))
        file.write_text(lobby(*(ENDPOINT.format(name=name, port=port) for name, port in endpoints)) + DOCUMENTS)
        with GstCamera(right, port=north_port, options=options) as north:
            mesh.up("-f", str(file))
            for name in ("north", "south"):
                mesh.main.wait_for_line(f"an endpoint passes its health checks .*endpoint={name}")
            for _ in range(2):
                play(Player.FFMPEG, mesh.url("/stream"), Transport.TCP, frames=FRAMES)
            assert (north.events["play"], south.events["play"]) == (1, 1)
        with GstCamera(clips[AudioCodec.PCMU], port=north_port, options=options) as north:
            mesh.main.wait_for_line(
                "an endpoint fails its health checks .*endpoint=north .*"
                r"reason='the description has no audio/MPEG4-GENERIC; it has video/H264, audio/PCMU'"
            )
            for _ in range(2):
                played = play(Player.FFMPEG, mesh.url("/stream"), Transport.TCP, frames=FRAMES)
                assert_contiguous(played.frames, right.frames, minimum=FRAMES)
            assert (north.events["play"], south.events["play"]) == (0, 3)
