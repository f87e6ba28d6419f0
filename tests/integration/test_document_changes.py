"""Documents are edited while sessions play: good edits take effect, bad ones are refused whole, nobody loses media."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh, running_mesh
from tests.peers.rtsp_wire import eventually

pytestmark = pytest.mark.integration

PACKETS = 10
DOCUMENTS = """\
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {{name: {name}}}
spec:
  endpoints:
  - {{name: camera, address: 127.0.0.1, port: {port}}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {{name: {name}}}
spec:
  rules:
  - matches:
    - path: {{type: PathPrefix, value: /{name}}}
    backendRefs:
    - {{group: mediastreamingmesh.io, kind: Backend, name: {name}}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A mesh that reads a folder, and the camera that all of its routes lead to."""

    mesh: Mesh
    camera: MarkedCamera
    folder: Path

    def write(self, name: str, text: str = DOCUMENTS) -> None:
        (self.folder / f"{name}.yaml").write_text(text.format(name=name, port=self.camera.port))

    def known_as(self, path: str, outcome: str) -> bool:
        """Whether the RTSP proxy, by now, answers for this path as the documents say."""
        answer = self.mesh.get(f"/v1/explain?url={self.mesh.url(path)}")
        return answer["outcome"] == outcome and all(proxy["current"] for proxy in answer["rtsp_proxies"])

    def routes(self) -> set[str]:
        return {route["name"] for route in self.mesh.items("/v1/routes")}

    def error(self) -> str | None:
        (source,) = self.mesh.items("/v1/sources")
        return "\n".join(source["errors"]) or None

    async def plays(self, path: str) -> MarkedPlayer:
        """A session that has played."""
        async with MarkedPlayer(self.mesh.url(path)) as player:
            await eventually(lambda: player.heard(PACKETS), f"media of {path}")
        return player

    async def is_unknown(self, path: str) -> bool:
        player = MarkedPlayer(self.mesh.url(path))
        await player.connect()
        response = await player.wire.ask("DESCRIBE", player.url)
        await player.vanish()
        return response.status == 404


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with MarkedCamera() as camera:
        (tmp_path / "lobby.yaml").write_text(DOCUMENTS.format(name="lobby", port=camera.port))
        async with running_mesh("-f", str(tmp_path)) as mesh:
            yield Scene(mesh=mesh, camera=camera, folder=tmp_path)


async def test_edits_leave_a_playing_session_alone_and_bad_ones_the_last_good_state(scene: Scene) -> None:
    async with MarkedPlayer(scene.mesh.url("/lobby/long")) as long:
        await eventually(lambda: long.heard(PACKETS), "media")
        asking = asyncio.create_task(ask_without_end(scene))

        scene.write("yard")
        await eventually(lambda: scene.known_as("/yard", "routed"), "the new route")
        await scene.plays("/yard/short")

        # One good file more and one with a mistake: neither counts.
        scene.write("attic")
        scene.write("yard", DOCUMENTS.replace("PathPrefix", "PathSuffix"))
        await eventually(scene.error, "the refusal")
        assert scene.routes() == {"lobby", "yard"}
        assert_tells_place(scene.error() or "", scene.folder / "yard.yaml")
        assert_tells_place(scene.mesh.main.output, scene.folder / "yard.yaml")
        assert await scene.is_unknown("/attic/short")
        await scene.plays("/yard/again")

        scene.write("yard")
        await eventually(lambda: scene.known_as("/attic", "routed"), "the healed state")
        assert scene.error() is None
        await scene.plays("/attic/short")

        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking  # raises what it found wrong

        # Even the session's own route may go: sessions end when their players want.
        (scene.folder / "lobby.yaml").unlink()
        await eventually(lambda: scene.known_as("/lobby", "not_found"), "the removal")
        assert await scene.is_unknown("/lobby/late")

        await long.ask("PAUSE")
        tracks = scene.camera.session("long").tracks
        await eventually(lambda: long.received == sum(track.sent for track in tracks.values()), "every packet")
    assert long.foreign == []
    for number, track in tracks.items():
        assert long.tracks[number].numbers == list(range(track.sent))


async def ask_without_end(scene: Scene) -> None:
    """A route that no edit concerns can be had all the time."""
    player = MarkedPlayer(scene.mesh.url("/lobby/asked"))
    await player.connect()
    try:
        while True:
            response = await player.describe()
            assert response.status == 200, response
    finally:
        await player.vanish()


def assert_tells_place(text: str, path: Path) -> None:
    """File, line and field of the mistake, and what would be right."""
    line = DOCUMENTS.split("\n").index("    - path: {{type: PathPrefix, value: /{name}}}") + 1
    place = rf"{re.escape(str(path))}:{line}\b.*spec\.rules\[0\]\.matches\[0\]\.path\.type"
    assert re.search(place, text), text
    assert "PathPrefix" in text
