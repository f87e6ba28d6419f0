"""Cameras that ask for a password are played by players that know none, and nobody who looks at the mesh sees it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc

from tests.peers.cameras import GstCamera
from tests.peers.clip import AudioCodec, Clip, make_clip
from tests.peers.documents import lobby
from tests.peers.frames import assert_contiguous
from tests.peers.guarded_camera import GuardedCamera
from tests.peers.mesh import Mesh, running_mesh
from tests.peers.players import Player, Transport, play
from tests.peers.rtsp_wire import RTSPWire

pytestmark = pytest.mark.integration

FRAMES = 25
REST = ("routes", "backends", "sources", "sessions", "relays", "proxies", "gateways", "explain?url=rtsp://h/lobby")
DOCUMENTS = """\
---
apiVersion: v1
kind: Secret
metadata: {{name: camera}}
type: kubernetes.io/basic-auth
stringData: {{username: ann, password: "{word}"}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: MediaPolicy
metadata: {{name: lobby}}
spec:
  targetRefs: [{{kind: Backend, name: lobby}}]
  healthCheck: {{type: RTSP, interval: 1s}}
"""


def _documents(port: int, word: str) -> str:
    endpoint = f"{{name: north, address: 127.0.0.1, port: {port}, path: /camera, credentialsRef: {{name: camera}}}}"
    return lobby(endpoint) + DOCUMENTS.format(word=word)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_clip(tmp_path_factory.mktemp("clip"), AudioCodec.AAC)


@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("player", list(Player))
async def test_a_player_without_a_password_plays_a_camera_that_asks_for_one(
    player: Player, transport: Transport
) -> None:
    async with GuardedCamera() as camera, running_mesh("--route", f"/lobby={camera.url_of('ann:se%3Acret')}") as mesh:
        await asyncio.to_thread(play, player, mesh.url("/lobby"), transport, frames=FRAMES)
        assert {"DESCRIBE", "SETUP", "PLAY"} <= set(camera.passed)
        assert set(camera.refused) == {"a password is needed"}


@pytest.mark.parametrize("method", ["basic", "digest"])
def test_a_camera_of_others_is_told_the_password_of_its_url(clip: Clip, method: str) -> None:
    with GstCamera(clip, options=("--user", "ann:s3cret", "--auth", method)) as camera, Mesh() as mesh:
        mesh.up("--route", f"/lobby={camera.url.replace('://', '://ann:s3cret@')}")
        played = play(Player.FFMPEG, mesh.url("/lobby"), Transport.UDP, frames=FRAMES)
    assert_contiguous(played.frames, clip.frames, minimum=FRAMES)


async def test_a_password_from_a_secret_may_change_and_is_shown_nowhere(tmp_path: Path) -> None:
    """A player hears that the mesh and the camera do not agree, and is not asked for a password itself."""
    file = tmp_path / "mesh.yaml"
    async with GuardedCamera() as camera:
        file.write_text(_documents(camera.port, "se:wrong"))
        async with running_mesh("-f", str(file), "--log-level", "debug") as mesh:
            wire = await RTSPWire.open(*_place(mesh))
            refused = await wire.ask("DESCRIBE", mesh.url("/"))
            assert (refused.status, refused.headers.get("WWW-Authenticate")) == (502, None)
            assert b"the camera refuses the user name and the password" in refused.body
            await asyncio.to_thread(mesh.main.wait_for_line, "fails its health checks.*refuses the user name")
            await _shown_nowhere(mesh, "se:wrong")
            file.write_text(_documents(camera.port, "se:cret"))
            await asyncio.to_thread(mesh.main.wait_for_line, "passes its health checks")
            own = ("Authorization", "Basic bXk6b3du")
            assert (await wire.ask("DESCRIBE", mesh.url("/"), own)).status == 200
            await wire.close()
            await asyncio.to_thread(play, Player.FFMPEG, mesh.url("/"), Transport.TCP, frames=FRAMES)
            await _shown_nowhere(mesh, "se:cret")


async def _shown_nowhere(mesh: Mesh, password: str) -> None:
    """Neither in the log, nor by REST, nor by what tools of xDS ask for."""
    encoded = "YW5uOnNlOm"  # how ann:se: begins in base64
    answers = [await asyncio.to_thread(mesh.fetch, "GET", f"/v1/{path}") for path in REST]
    assert {status for status, _ in answers} == {200}
    (proxy,) = [each["id"] for each in mesh.items("/v1/proxies") if each["kind"] == "rtsp"]
    resources = await asyncio.to_thread(mesh.fetch, "GET", f"/v1/proxies/{proxy}/resources")
    assert "default/lobby/camera" in resources[1]
    told = str([*answers, resources, await asyncio.to_thread(mesh.fetch, "GET", "/metrics"), mesh.main.output])
    async with grpc.aio.insecure_channel(mesh.xds) as channel:
        stub = csds_pb2_grpc.ClientStatusDiscoveryServiceStub(channel)
        status = await stub.FetchClientStatus(csds_pb2.ClientStatusRequest())
    assert b"default/lobby/camera" in status.SerializeToString()
    for text in (password, encoded):
        assert text not in told
        assert text.encode() not in status.SerializeToString()


def _place(mesh: Mesh) -> tuple[str, int]:
    host, _, port = mesh.rtsp.rpartition(":")
    return host, int(port)
