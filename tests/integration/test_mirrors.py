"""A session that is played is set up at a mirror's camera too, whose media is measured and never seen by the player."""

from __future__ import annotations

import asyncio
import re
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rtsp_filter.proxy import RTSPProxy
from rtsp_filter.rtsp import Request, Response, StatusCode
from tests.peers.cameras import GstCamera, MsmCamera
from tests.peers.certificates import make_certificate
from tests.peers.clip import AudioCodec, Clip
from tests.peers.frames import assert_contiguous
from tests.peers.mesh import Mesh
from tests.peers.players import Player, Transport, play
from tests.peers.ports import reserve_ports
from tests.peers.process import wait_until
from tests.peers.rtsp_proxy import running_proxy
from tests.peers.rtsp_wire import RTSPWire, eventually
from tests.peers.scripted_camera import ScriptedCamera, plays_nothing

pytestmark = pytest.mark.integration

FRAMES = 50
# Long enough that a mirror can come, be killed and be gone before the player has them all.
MANY_FRAMES = 200
END_SECONDS = 5.0
API = "apiVersion: mediastreamingmesh.io/v1alpha1\n"
SECURED = """\
apiVersion: v1
kind: Secret
metadata: {{name: camera}}
type: kubernetes.io/basic-auth
stringData: {{username: ann, password: word}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {{name: mirror}}
spec:
  targetRefs: [{{group: mediastreamingmesh.io, kind: Backend, name: mirror}}]
  validation:
    hostname: localhost
    caCertificateRefs: [{{group: "", kind: ConfigMap, name: authorities}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: authorities}}
data:
  ca.crt: |
{authorities}
"""


def _port(url: str) -> int:
    found = re.search(r":(\d+)/", url)
    assert found is not None
    return int(found[1])


def _write(file: Path, camera: int, mirror: int, *, path: str = "/stream", more: str = "") -> tuple[str, ...]:
    """The options with which a mesh has a camera at one port, mirrored by the one at the other, of which there may be
    `more` to say."""
    endpoints = {"camera": f"port: {camera}, path: /stream", "mirror": f"port: {mirror}, path: {path}{more}"}
    documents = [
        f"{API}kind: Backend\nmetadata: {{name: {name}}}\n"
        f"spec: {{endpoints: [{{name: one, address: 127.0.0.1, {endpoint}}}]}}\n"
        for name, endpoint in endpoints.items()
    ]
    documents.append(
        f"{API}kind: RTSPRoute\nmetadata: {{name: lobby}}\nspec:\n  rules:\n"
        "    - matches: [{path: {type: PathPrefix, value: /lobby}}]\n"
        "      filters:\n"
        "        - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}\n"
        "        - {type: RequestMirror, requestMirror: {backendRef: {kind: Backend, name: mirror}, percent: 100}}\n"
        "      backendRefs: [{kind: Backend, name: camera}]\n"
    )
    file.write_text("---\n".join(documents))
    return "-f", str(file)


def _end_of_shadow(mesh: Mesh) -> dict[str, str]:
    """What the log says of a mirror's session that has ended."""
    line = mesh.main.wait_for_line(r"a shadow session ended .*", END_SECONDS)[0]
    return dict(re.findall(r"(\w+)=(\S+)", line))


@pytest.mark.parametrize("transport", list(Transport))
def test_a_mirrored_session_reaches_the_mirrors_camera_and_its_media_is_measured(
    transport: Transport, clips: dict[AudioCodec, Clip], tmp_path: Path
) -> None:
    clip = clips[AudioCodec.AAC]
    with GstCamera(clip) as camera, GstCamera(clip, protocols=transport) as mirror, Mesh() as mesh:
        mesh.up(*_write(tmp_path / "mesh.yaml", camera.port, mirror.port))
        played = play(Player.FFMPEG, mesh.url("/lobby"), transport, frames=FRAMES)
        found = _end_of_shadow(mesh)
        mirror.wait_for_event("teardown")
        assert (camera.events["play"], mirror.events["play"]) == (1, 1)
    assert_contiguous(played.frames, clip.frames, minimum=FRAMES)
    assert (found["backend"], found["endpoint"], found["lost"]) == ("default/mirror", "one", "0.0")
    assert int(found["packets"]) > FRAMES


def test_the_loss_of_the_mirrors_camera_is_known_and_the_player_loses_nothing(
    clips: dict[AudioCodec, Clip], tmp_path: Path
) -> None:
    clip = clips[AudioCodec.AAC]
    with GstCamera(clip) as camera, MsmCamera("--loss", "0.2", "--jitter", "20") as mirror, Mesh() as mesh:
        mesh.up(*_write(tmp_path / "mesh.yaml", camera.port, _port(mirror.url), path="/camera"))
        played = play(Player.FFMPEG, mesh.url("/lobby"), Transport.UDP, frames=FRAMES)
        found = _end_of_shadow(mesh)
    assert_contiguous(played.frames, clip.frames, minimum=FRAMES)
    assert 0.05 < float(found["lost"]) < 0.4
    assert 1 < float(found["jitter_ms"]) < 40


@pytest.mark.parametrize("transport", list(Transport))
def test_killing_the_mirrors_camera_does_nothing_to_the_player(
    transport: Transport, clips: dict[AudioCodec, Clip], tmp_path: Path
) -> None:
    clip = clips[AudioCodec.AAC]
    with (
        GstCamera(clip) as camera,
        GstCamera(clip) as mirror,
        Mesh() as mesh,
        ThreadPoolExecutor() as threads,
    ):
        mesh.up(*_write(tmp_path / "mesh.yaml", camera.port, mirror.port))
        playing = threads.submit(play, Player.FFMPEG, mesh.url("/lobby"), transport, frames=MANY_FRAMES)
        mesh.main.wait_for_line("a shadow session plays")
        mirror.kill()
        mesh.main.wait_for_line("a shadow session has lost its camera")
        assert not playing.done()
        played = playing.result()
        wait_until(lambda: mesh.items("/v1/sessions") == [], END_SECONDS, "the end of the session")
    assert_contiguous(played.frames, clip.frames, minimum=MANY_FRAMES, breaks=MANY_FRAMES // len(clip.frames))


def test_a_mirrors_camera_may_be_behind_tls_and_ask_for_a_password(
    clips: dict[AudioCodec, Clip], tmp_path: Path
) -> None:
    clip, certificate = clips[AudioCodec.AAC], make_certificate(tmp_path, "localhost")
    options = ("--user", "ann:word", "--certificate", str(certificate.chain), "--key", str(certificate.key))
    with GstCamera(clip) as camera, GstCamera(clip, options=options) as mirror, Mesh() as mesh:
        told = _write(tmp_path / "mesh.yaml", camera.port, mirror.port, more=", credentialsRef: {name: camera}")
        authorities = textwrap.indent(certificate.chain.read_text(), "    ")
        (tmp_path / "secured.yaml").write_text(SECURED.format(authorities=authorities))
        mesh.up(*told, "-f", str(tmp_path / "secured.yaml"))
        played = play(Player.FFMPEG, mesh.url("/lobby"), Transport.UDP, frames=FRAMES)
        found = _end_of_shadow(mesh)
    assert_contiguous(played.frames, clip.frames, minimum=FRAMES)
    assert int(found["packets"]) > FRAMES


def test_without_a_mirrors_camera_the_player_plays(clips: dict[AudioCodec, Clip], tmp_path: Path) -> None:
    clip = clips[AudioCodec.AAC]
    with reserve_ports(1) as ports, GstCamera(clip) as camera, Mesh() as mesh:
        mesh.up(*_write(tmp_path / "mesh.yaml", camera.port, ports.take()))
        played = play(Player.FFMPEG, mesh.url("/lobby"), Transport.TCP, frames=FRAMES)
        mesh.main.wait_for_line("a shadow session could not be set up .* reason='the camera cannot be reached")
    assert_contiguous(played.frames, clip.frames, minimum=FRAMES)


async def test_a_session_that_has_ended_when_the_camera_answers_play_is_not_mirrored(tmp_path: Path) -> None:
    proxies: list[RTSPProxy] = []

    def ending(request: Request) -> Response:
        """The first session ends while the camera answers its PLAY."""
        if request.method == "PLAY" and proxies:
            proxy = proxies.pop()
            for session in list(proxy.sessions.values()):
                proxy.session_over(session, "the test ends it", close_client=False)
        return plays_nothing(request)

    with Mesh() as mesh:
        async with ScriptedCamera(ending) as camera, ScriptedCamera(plays_nothing) as mirror:
            await asyncio.to_thread(mesh.serve, *_write(tmp_path / "mesh.yaml", camera.port, mirror.port))
            async with running_proxy(mesh) as proxy:
                proxies.append(proxy)
                wires = [await _play(mesh) for _ in range(2)]
                await eventually(lambda: "PLAY" in [each.method for each in mirror.requests], "the second's mirror")
                for wire in wires:
                    await wire.close()
            assert [each.method for each in mirror.requests] == ["DESCRIBE", "SETUP", "PLAY", "TEARDOWN"]


async def test_the_mirror_of_a_session_that_goes_on_at_another_proxy_ends(tmp_path: Path) -> None:
    with Mesh() as mesh:
        async with ScriptedCamera(plays_nothing) as camera, ScriptedCamera(plays_nothing) as mirror:
            await asyncio.to_thread(mesh.serve, *_write(tmp_path / "mesh.yaml", camera.port, mirror.port))
            async with running_proxy(mesh) as proxy:
                wire = await _play(mesh)
                await eventually(lambda: "PLAY" in [each.method for each in mirror.requests], "the mirror")
                (session,) = proxy.sessions.values()
                session.leave("another proxy has it", close_client=True)
                await eventually(lambda: not mirror.connections, "its end")
                assert [each.method for each in mirror.requests] == ["DESCRIBE", "SETUP", "PLAY", "TEARDOWN"]
                await wire.close()


async def _play(mesh: Mesh) -> RTSPWire:
    """A session over TCP that the camera plays."""
    host, _, port = mesh.rtsp.partition(":")
    wire = await RTSPWire.open(host, int(port))
    url = mesh.url("/lobby")
    await wire.ask("DESCRIBE", url)
    setup = await wire.ask("SETUP", f"{url}/video", ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1"))
    session = (setup.headers.get("Session") or "").partition(";")[0]
    played = await wire.ask("PLAY", url, ("Session", session))
    assert played.status == StatusCode.OK
    return wire
