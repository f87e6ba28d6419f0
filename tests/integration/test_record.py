"""Publishers record through the mesh, and what arrives at the server is the clip, picture by picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.clip import AudioCodec, Clip
from tests.peers.frames import assert_contiguous
from tests.peers.mesh import Mesh
from tests.peers.players import Transport
from tests.peers.ports import reserve_ports
from tests.peers.process import START_SECONDS, wait_until
from tests.peers.publishers import Publisher, listening, publishing

pytestmark = pytest.mark.integration

FRAMES = 50
SESSION_END_SECONDS = 5.0
OTHER = {Transport.UDP: Transport.TCP, Transport.TCP: Transport.UDP}
DOCUMENTS = """\
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {{name: server}}
spec:
  endpoints:
  - {{name: server, address: 127.0.0.1, port: {port}, transport: {transport}}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {{name: studio}}
spec:
  rules:
  - matches:
    - path: {{type: PathPrefix, value: /studio}}
    filters:
    - {{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /live}}}}}}
    backendRefs:
    - {{group: mediastreamingmesh.io, kind: Backend, name: server}}
"""


@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("publisher", list(Publisher))
def test_a_server_gets_every_picture_of_a_publisher_through_the_mesh(
    publisher: Publisher, transport: Transport, clips: dict[AudioCodec, Clip]
) -> None:
    clip = clips[AudioCodec.AAC]
    with reserve_ports() as ports, Mesh() as mesh:
        port = ports.take()
        mesh.up("--route", f"/studio=rtsp://127.0.0.1:{port}/live")
        with listening(port) as (server, reader):
            with publishing(publisher, clip, mesh.url("/studio"), transport):
                server.wait_until(lambda: len(reader.frames) >= FRAMES, START_SECONDS, f"{FRAMES} pictures")
                [session] = mesh.items("/v1/sessions")
            assert (session["state"], session["transport"]) == ("recording", transport)
            wait_until(lambda: mesh.items("/v1/sessions") == [], SESSION_END_SECONDS, "the end of the session")
    assert_contiguous(tuple(reader.frames), clip.frames, minimum=FRAMES, breaks=0)


@pytest.mark.parametrize("transport", list(Transport))
def test_a_server_may_get_its_media_by_another_transport_than_the_publisher_sends(
    transport: Transport, clips: dict[AudioCodec, Clip], tmp_path: Path
) -> None:
    clip = clips[AudioCodec.AAC]
    with reserve_ports() as ports, Mesh() as mesh:
        port = ports.take()
        (tmp_path / "route.yaml").write_text(DOCUMENTS.format(port=port, transport=OTHER[transport]))
        mesh.up("--file", str(tmp_path))
        with listening(port) as (server, reader), publishing(Publisher.FFMPEG, clip, mesh.url("/studio"), transport):
            server.wait_until(lambda: len(reader.frames) >= FRAMES, START_SECONDS, f"{FRAMES} pictures")
            assert mesh.slots()["open"] > 0
    assert_contiguous(tuple(reader.frames), clip.frames, minimum=FRAMES, breaks=0)
