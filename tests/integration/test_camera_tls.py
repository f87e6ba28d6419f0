"""Cameras behind TLS: verified as BackendTLSPolicy says, played by everybody's players, and refused with the reason."""

from __future__ import annotations

import asyncio
import textwrap
from pathlib import Path

import pytest

from tests.peers.cameras import GstCamera
from tests.peers.certificates import Certificate, make_certificate
from tests.peers.clip import AudioCodec, Clip, make_clip
from tests.peers.documents import lobby
from tests.peers.frames import assert_contiguous
from tests.peers.mesh import Mesh
from tests.peers.players import Player, Transport, play
from tests.peers.rtsp_wire import RTSPWire

pytestmark = pytest.mark.integration

FRAMES = 25
DOCUMENTS = """\
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {{name: lobby}}
spec:
  targetRefs: [{{group: mediastreamingmesh.io, kind: Backend, name: lobby}}]
  validation:
    hostname: {hostname}
    caCertificateRefs: [{{group: "", kind: ConfigMap, name: authorities}}]
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: MediaPolicy
metadata: {{name: lobby}}
spec:
  targetRefs: [{{kind: Backend, name: lobby}}]
  healthCheck: {{type: RTSP, interval: 1s}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: authorities}}
data:
  ca.crt: |
{authorities}
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_clip(tmp_path_factory.mktemp("clip"), AudioCodec.AAC)


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path, "localhost")


def secured(certificate: Certificate) -> tuple[str, ...]:
    return "--certificate", str(certificate.chain), "--key", str(certificate.key)


def written(folder: Path, port: int, authority: Certificate, hostname: str = "localhost") -> str:
    """Documents of a camera at this port, and the file that they are in."""
    file = folder / "mesh.yaml"
    # As bundles of authorities are written: with a name in front.
    pem = f"# Löwen Zertifikate\n{authority.chain.read_text()}"
    documents = DOCUMENTS.format(hostname=hostname, authorities=textwrap.indent(pem, "    "))
    file.write_text(lobby(f"{{name: north, address: 127.0.0.1, port: {port}, path: /stream}}") + documents)
    return str(file)


@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("player", list(Player))
def test_everybodys_players_play_a_camera_behind_tls(
    player: Player, transport: Transport, clip: Clip, certificate: Certificate, tmp_path: Path
) -> None:
    with GstCamera(clip, options=secured(certificate)) as camera, Mesh() as mesh:
        mesh.up("-f", written(tmp_path, camera.port, certificate), "--log-level", "debug")
        played = play(player, mesh.url("/"), transport, frames=FRAMES * (1 + player.breaks))
        assert_contiguous(played.frames, clip.frames, minimum=FRAMES, breaks=player.breaks)
        asked = [line for line in mesh.main.lines if "track set up" in line]
        assert asked
        assert all("RTP/AVP/TCP" in line for line in asked)


def test_a_url_with_rtsps_and_a_password_is_enough(clip: Clip, certificate: Certificate) -> None:
    """The authorities are those of the system, or of the file that stands for them."""
    options = (*secured(certificate), "--user", "ann:s3cret", "--auth", "basic")
    with GstCamera(clip, options=options) as camera, Mesh() as mesh:
        url = f"rtsps://ann:s3cret@localhost:{camera.port}/stream"
        mesh.up("--route", f"/lobby={url}", env={"SSL_CERT_FILE": str(certificate.chain)})
        (backend,) = mesh.items("/v1/backends")
        assert backend["tls"] == {"hostname": "localhost", "system": True}
        assert [endpoint["has_credentials"] for endpoint in backend["endpoints"]] == [True]
        assert mesh.get("/v1/explain?url=rtsp://h/lobby")["candidates"][0]["targets"][0]["url"].startswith("rtsps://")
        play(Player.FFMPEG, mesh.url("/lobby"), Transport.UDP, frames=FRAMES)


@pytest.mark.parametrize(
    ("mistake", "reason"),
    [
        ("authority", "does not prove that it is localhost, to those of its BackendTLSPolicy: self-signed certificate"),
        ("name", "does not prove that it is other.example, .*: Hostname mismatch"),
        ("plain", "it does not speak TLS at this port"),
    ],
)
async def test_a_camera_that_is_not_who_it_should_be_is_told_nothing(
    mistake: str, reason: str, clip: Clip, certificate: Certificate, tmp_path: Path
) -> None:
    other = make_certificate(tmp_path, "other.example")
    options = () if mistake == "plain" else secured(certificate)
    authority, hostname = other if mistake == "authority" else certificate, "localhost"
    if mistake == "name":
        hostname = "other.example"
    with GstCamera(clip, options=options) as camera, Mesh() as mesh:
        await asyncio.to_thread(mesh.up, "-f", written(tmp_path, camera.port, authority, hostname))
        host, _, port = mesh.rtsp.rpartition(":")
        wire = await RTSPWire.open(host, int(port))
        assert (await wire.ask("DESCRIBE", mesh.url("/"))).status == 502
        await wire.close()
        for event in ("request refused", "an endpoint fails its health checks"):
            await asyncio.to_thread(mesh.main.wait_for_line, f"{event}.*{reason}")
        assert camera.events["describe"] == 0
