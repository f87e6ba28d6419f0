"""Routes that are for some users only: players and publishers of others prove their passwords to the mesh, and cameras
hear nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc

from mesh.users import encode_users, joined, user_of
from rtsp_filter.camera import Camera, CameraSettings
from rtsp_filter.camera.connection import Connection
from rtsp_filter.rtsp import Request, Response
from tests.peers.cameras import SYSTEM_PYTHON
from tests.peers.clip import AudioCodec, Clip, make_clip
from tests.peers.frames import MD5Lines
from tests.peers.guarded_camera import GuardedCamera
from tests.peers.mesh import Mesh, running_mesh
from tests.peers.players import GST_PLAYER, Player, Transport, Tunnel, play
from tests.peers.ports import reserve_ports
from tests.peers.process import START_SECONDS, Process, ProcessError
from tests.peers.publishers import Publisher, listening, publishing

pytestmark = pytest.mark.integration

FRAMES = 5
# Long enough for a player to give up.
REFUSAL_SECONDS = 10.0
PASSWORD = "wonder:land"
REST = ("routes", "backends", "sources", "sessions", "relays", "proxies", "gateways")
IN_URL = "ann:wonder%3Aland"
ROUTE = """
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {{name: {name}}}
spec:
  rules:
    - matches: [{match}]
      filters:
        - type: ExtensionRef
          extensionRef: {{group: mediastreamingmesh.io, kind: AuthenticationFilter, name: {name}}}
      backendRefs: [{{kind: Backend, name: camera}}]
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: AuthenticationFilter
metadata: {{name: {name}}}
spec:
  realm: The cameras of the house
  users: [{{secretRef: {{name: {name}}}}}]
---
apiVersion: v1
kind: Secret
metadata: {{name: {name}}}
stringData: {secret}
---
"""
BACKEND = """
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {{name: camera}}
spec:
  endpoints:
    - {{name: one, address: 127.0.0.1, port: {port}{more}}}
---
"""
CREDENTIALS = """
apiVersion: v1
kind: Secret
metadata: {name: camera}
type: kubernetes.io/basic-auth
stringData: {username: ann, password: "se:cret"}
"""


def route(match: str = "{}", name: str = "guards", user: str = f"ann:{PASSWORD}") -> str:
    username, _, password = user.partition(":")
    return ROUTE.format(name=name, match=match, secret=f'{{username: {username}, password: "{password}"}}')


def with_user(url: str, user: str = IN_URL) -> str:
    return url.replace("://", f"://{user}@")


class WatchedCamera(Camera):
    """The bundled camera, which has no password; `asked` are the requests that came."""

    def __init__(self) -> None:
        super().__init__(CameraSettings(port=0))
        self.asked: list[Request] = []

    def request_received(self, connection: Connection, request: Request) -> Response:
        self.asked.append(request)
        return super().request_received(connection, request)

    @property
    def methods(self) -> set[str]:
        return {request.method for request in self.asked}

    @property
    def passwords(self) -> list[str]:
        return [value for request in self.asked for value in request.headers.get_all("Authorization")]


@asynccontextmanager
async def guarded(folder: Path, document: str) -> AsyncIterator[tuple[Mesh, WatchedCamera]]:
    """A mesh with this route, and the camera behind it."""
    async with WatchedCamera() as camera:
        options = written(folder, document, BACKEND.format(port=camera.port, more=""))
        async with running_mesh(*options) as mesh:
            yield mesh, camera


def written(folder: Path, *documents: str) -> Sequence[str]:
    file = folder / "mesh.yaml"
    file.write_text("\n".join(documents))
    return "-f", str(file)


@pytest.mark.parametrize("transport", [*Transport, Tunnel.HTTP])
@pytest.mark.parametrize("player", list(Player))
async def test_player_with_the_right_password_plays_and_the_camera_hears_nothing_of_it(
    player: Player, transport: Transport | Tunnel, tmp_path: Path
) -> None:
    async with guarded(tmp_path, route()) as (mesh, camera):
        url = with_user(mesh.url("/camera?channel=1"))
        await asyncio.to_thread(play, player, url, transport, frames=FRAMES)
        assert "a wrong password" not in mesh.main.output
    assert {"DESCRIBE", "SETUP", "PLAY", "TEARDOWN"} <= camera.methods
    assert camera.passwords == []


@pytest.mark.parametrize("player", [Player.FFMPEG, Player.GSTREAMER])
async def test_player_with_a_wrong_password_gets_nowhere(player: Player, tmp_path: Path) -> None:
    async with guarded(tmp_path, route()) as (mesh, camera):
        for user in ("ann:rabbit", "eve:rabbit"):
            with pytest.raises(ProcessError):
                url = with_user(mesh.url("/camera"), user)
                await asyncio.to_thread(play, player, url, Transport.TCP, frames=1, timeout=REFUSAL_SECONDS)
        assert "a wrong password" in mesh.main.output
        assert "rabbit" not in mesh.main.output
    assert camera.asked == []


async def test_a_password_kept_as_its_hash_of_md5_alone_will_do(tmp_path: Path) -> None:
    realm = "The cameras of the house"
    text = encode_users(joined(realm, [user_of("ann", realm, PASSWORD)])).splitlines()[0]
    document = ROUTE.format(name="guards", match="{}", secret=f'{{.htdigest: "{text}"}}')
    async with guarded(tmp_path, document) as (mesh, _):
        for player in Player:
            url = with_user(mesh.url("/camera"))
            await asyncio.to_thread(play, player, url, Transport.TCP, frames=FRAMES)


async def test_a_camera_with_a_password_of_its_own_is_told_that_and_its_players_say_theirs(tmp_path: Path) -> None:
    async with GuardedCamera() as camera:
        backend = BACKEND.format(port=camera.port, more=", credentialsRef: {name: camera}")
        async with running_mesh(*written(tmp_path, route(), backend, CREDENTIALS)) as mesh:
            for player in Player:
                url = with_user(mesh.url("/camera"))
                await asyncio.to_thread(play, player, url, Transport.TCP, frames=FRAMES)
    assert {"DESCRIBE", "SETUP", "PLAY"} <= set(camera.passed)
    assert set(camera.refused) == {"a password is needed"}


@pytest.mark.parametrize("transport", list(Transport))
async def test_gstreamer_proves_its_password_in_rtsp_2(transport: Transport, tmp_path: Path) -> None:
    def pictures(url: str) -> None:
        reader = MD5Lines()
        player = [SYSTEM_PYTHON, str(GST_PLAYER), url, "--protocols", transport, "--rtsp-version", "2-0"]
        with Process([*player, "--sound", "/dev/null"], stdout=reader.feed) as process:
            process.wait_until(lambda: len(reader.frames) >= FRAMES, START_SECONDS, f"{FRAMES} frames")

    async with guarded(tmp_path, route()) as (mesh, camera):
        await asyncio.to_thread(pictures, with_user(mesh.url("/camera")))
    assert camera.passwords == []


async def test_nothing_of_users_shows_to_whoever_looks(tmp_path: Path) -> None:
    ann = user_of("annabella", "The cameras of the house", PASSWORD)
    document = route(user=f"annabella:{PASSWORD}")
    async with WatchedCamera() as camera:
        options = written(tmp_path, document, BACKEND.format(port=camera.port, more=""))
        async with running_mesh(*options, "--log-level", "debug") as mesh:
            url = with_user(mesh.url("/camera"), "annabella:wonder%3Aland")
            await asyncio.to_thread(play, Player.FFMPEG, url, Transport.TCP, frames=FRAMES)
            with pytest.raises(ProcessError):
                wrong = with_user(mesh.url("/camera"), "annabella:rabbit")
                await asyncio.to_thread(play, Player.FFMPEG, wrong, Transport.TCP, frames=1, timeout=REFUSAL_SECONDS)
            [proxy] = [each["id"] for each in mesh.items("/v1/proxies") if each["kind"] == "rtsp"]
            paths = (*REST, f"proxies/{proxy}/resources", f"explain?url=rtsp://{mesh.rtsp}/camera")
            told = "".join(str(mesh.get(f"/v1/{path}")) for path in paths) + mesh.fetch("GET", "/metrics")[1]
            assert mesh.items("/v1/routes")[0]["rules"][0]["users"] == "default/guards"
            explained = mesh.get(f"/v1/explain?url=rtsp://{mesh.rtsp}/camera")["reasons"]
            async with grpc.aio.insecure_channel(mesh.xds) as channel:
                stub = csds_pb2_grpc.ClientStatusDiscoveryServiceStub(channel)
                status = (await stub.FetchClientStatus(csds_pb2.ClientStatusRequest())).SerializeToString()
    assert "Who asks has to prove a password: AuthenticationFilter/default/guards says whose." in explained
    assert b"AuthenticationFilter/default/guards" in status
    for text in ("annabella", PASSWORD, "rabbit", ann.md5, ann.sha256):
        assert text is not None
        assert text not in told
        assert text.encode() not in status
        assert text not in mesh.main.output


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_clip(tmp_path_factory.mktemp("clip"), AudioCodec.AAC)


@pytest.mark.parametrize("publisher", list(Publisher))
def test_who_may_play_may_not_publish_and_who_may_publish_does(
    publisher: Publisher, clip: Clip, tmp_path: Path
) -> None:
    crew = route("{path: {value: /live}, method: ANNOUNCE}", name="crew", user="bob:builder")
    watch = route("{path: {value: /live}}")
    with reserve_ports() as ports, Mesh() as mesh:
        port = ports.take()
        mesh.up(*written(tmp_path, crew, watch, BACKEND.format(port=port, more="")))
        with listening(port) as (server, reader):
            with publishing(publisher, clip, with_user(mesh.url("/live")), Transport.TCP) as refused:
                assert refused.wait(START_SECONDS) != 0
            mesh.main.wait_for_line("a wrong password.*method=ANNOUNCE")
            with publishing(publisher, clip, with_user(mesh.url("/live"), "bob:builder"), Transport.TCP):
                server.wait_until(lambda: len(reader.frames) >= FRAMES, START_SECONDS, f"{FRAMES} pictures")
