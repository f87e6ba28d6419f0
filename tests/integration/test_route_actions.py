"""Routes of documents through the whole mesh, with players that other people wrote: redirects, conditions, retries."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.cameras import MsmCamera
from tests.peers.mesh import MSM, Mesh
from tests.peers.players import Player, Transport, play
from tests.peers.ports import reserve_ports
from tests.peers.process import wait_until
from tests.peers.rtsp_wire import RTSPWire

pytestmark = pytest.mark.integration

FRAMES = 10
SESSION_END_SECONDS = 5.0
PLAYS = 4
DOCUMENTS = """\
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {{name: site}}
spec:
  rules:
    - name: lobby
      matches: [{{path: {{value: /lobby}}}}]
      filters: [&root {{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /}}}}}}]
      backendRefs: [{{kind: Backend, name: camera}}]
    - name: moved
      matches: [{{path: {{value: /moved}}}}]
      filters:
        - type: RequestRedirect
          requestRedirect: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /lobby}}, statusCode: 301}}
        - {{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: X-Why, value: moved}}]}}}}
    - name: for-ffmpeg
      matches:
        - path: {{value: /chosen}}
          method: DESCRIBE
          headers: [{{name: User-Agent, value: "Lavf.*", type: RegularExpression}}]
          queryParams: [{{name: res, value: hd}}]
      filters: [*root]
      backendRefs: [{{kind: Backend, name: camera}}]
    - name: spare
      matches: [{{path: {{value: /spare}}}}]
      filters: [*root]
      backendRefs: [{{kind: Backend, name: pair}}]
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {{name: camera}}
spec: {{endpoints: [{{name: camera, address: 127.0.0.1, port: {port}, path: {path}}}]}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {{name: pair}}
spec:
  endpoints:
    - {{name: absent, address: 127.0.0.1, port: {absent}}}
    - {{name: camera, address: 127.0.0.1, port: {port}, path: {path}}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A mesh before a camera that works, and before a port where nobody listens."""

    mesh: Mesh

    async def ask(self, method: str, path: str, *headers: tuple[str, str]) -> tuple[int, dict[str, str]]:
        """Status and headers of an answer."""
        host, _, port = self.mesh.rtsp.rpartition(":")
        wire = await RTSPWire.open(host, int(port))
        try:
            response = await wire.ask(method, self.mesh.url(path), *headers)
        finally:
            await wire.close()
        return int(response.status), dict(response.headers.items())

    def play(self, player: Player, path: str) -> str:
        """The route of a session that played."""
        routes: list[str] = []

        def note() -> None:
            routes.extend(f"{session['route']}/{session['rule']}" for session in self.mesh.items("/v1/sessions"))

        play(player, self.mesh.url(path), Transport.TCP, frames=FRAMES, while_playing=note)
        wait_until(lambda: self.mesh.items("/v1/sessions") == [], SESSION_END_SECONDS, "the end of the session")
        (route,) = routes
        return route


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with ExitStack() as stack:
        camera = stack.enter_context(MsmCamera())
        absent = stack.enter_context(reserve_ports(1)).take()
        _, _, rest = camera.url.partition("://")
        authority, _, path = rest.partition("/")
        file: Path = tmp_path_factory.mktemp("documents") / "mesh.yaml"
        file.write_text(DOCUMENTS.format(port=authority.rpartition(":")[2], path=f"/{path}", absent=absent))
        mesh = stack.enter_context(Mesh())
        mesh.up("-f", str(file))
        yield Scene(mesh=mesh)


@pytest.mark.parametrize("player", list(Player))
def test_a_player_follows_a_redirect_to_the_stream(scene: Scene, player: Player) -> None:
    assert scene.play(player, "/moved") == "default/site/lobby"


async def test_a_redirect_says_where_to_and_what_the_route_adds(scene: Scene) -> None:
    status, headers = await scene.ask("DESCRIBE", "/moved/x?q=1")
    assert (status, headers["Location"], headers["X-Why"]) == (301, scene.mesh.url("/lobby/x?q=1"), "moved")
    # Whoever asks for another method than the first of a session is not sent about.
    assert (await scene.ask("OPTIONS", "/moved"))[0] == 200


async def test_header_query_and_method_choose_the_route(scene: Scene) -> None:
    assert scene.play(Player.FFMPEG, "/chosen?res=hd") == "default/site/for-ffmpeg"
    ffmpeg = ("User-Agent", "Lavf60.1")
    assert (await scene.ask("DESCRIBE", "/chosen?res=hd", ffmpeg))[0] == 200
    assert (await scene.ask("DESCRIBE", "/chosen?res=hd", ("User-Agent", "LibVLC")))[0] == 404
    assert (await scene.ask("DESCRIBE", "/chosen?res=sd", ffmpeg))[0] == 404
    transport = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")
    assert (await scene.ask("SETUP", "/chosen?res=hd", ffmpeg, transport))[0] == 404
    said = scene.mesh.get("/v1/explain?url=rtsp://h/chosen%3Fres=hd&header=User-Agent:Lavf60")
    assert (said["outcome"], said["rule"]) == ("routed", "for-ffmpeg")


def test_a_player_plays_though_an_endpoint_refuses_connections(scene: Scene) -> None:
    for _ in range(PLAYS):
        assert scene.play(Player.FFMPEG, "/spare") == "default/site/spare"
    assert "another endpoint is tried" in scene.mesh.main.output
    assert "endpoint=absent" in scene.mesh.main.output


def test_msm_explain_tells_of_a_redirect(scene: Scene) -> None:
    argv = [MSM, "explain", scene.mesh.url("/moved"), "--api", scene.mesh.api]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, scene.mesh.url("/lobby") in done.stdout.replace("\n", "")) == (0, True), done.stdout
