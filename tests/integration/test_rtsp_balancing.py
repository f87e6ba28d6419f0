"""Sessions go where weights, policies and the health of cameras say, through a whole mesh."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from rtsp_filter.rtsp import LowerTransport
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh, running_mesh
from tests.peers.rtsp_wire import eventually

pytestmark = pytest.mark.integration

SESSIONS = 1000
# Of a test, at once: enough to meet each other in the proxy.
PLAYERS = 8
PACKETS = 10
API = "apiVersion: mediastreamingmesh.io/v1alpha1\n"


def _backend(name: str, *cameras: MarkedCamera) -> str:
    endpoints = [f"{{name: c{i}, address: 127.0.0.1, port: {camera.port}}}" for i, camera in enumerate(cameras)]
    return f"{API}kind: Backend\nmetadata: {{name: {name}}}\nspec: {{endpoints: [{', '.join(endpoints)}]}}\n"


def _route(**weights: int) -> str:
    refs = ", ".join(f"{{kind: Backend, name: {name}, weight: {weight}}}" for name, weight in weights.items())
    return f"{API}kind: RTSPRoute\nmetadata: {{name: lobby}}\nspec: {{rules: [{{backendRefs: [{refs}]}}]}}\n"


def _write(file: Path, *documents: str) -> None:
    file.write_text("---\n".join(documents))


def _policy(spec: str) -> str:
    targets = "[{kind: Backend, name: both}]"
    return f"{API}kind: MediaPolicy\nmetadata: {{name: lobby}}\nspec:\n  targetRefs: {targets}\n  {spec}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A mesh that reads one file, and two cameras."""

    mesh: Mesh
    one: MarkedCamera
    other: MarkedCamera
    file: Path

    @property
    def counts(self) -> tuple[int, int]:
        """How many sessions each camera has had."""
        return len(self.one.all_sessions), len(self.other.all_sessions)

    def player(self, path: str) -> MarkedPlayer:
        return MarkedPlayer(self.mesh.url(path), LowerTransport.TCP, tracks=(0,))

    def logged(self, text: str) -> bool:
        return text in self.mesh.main.output

    async def status(self, path: str) -> int:
        """How a session of this path is answered; one that works is set up and ended."""
        player = self.player(path)
        await player.connect()
        try:
            response = await player.describe()
            if response.status == 200:
                response = await player.set_up_track(player.tracks[0])
                if response.status == 200:
                    await player.ask("TEARDOWN")
            return response.status
        finally:
            await player.vanish()

    async def statuses(self, paths: Iterable[str]) -> Counter[int]:
        """How sessions of these paths are answered, several at once."""
        places = asyncio.Semaphore(PLAYERS)

        async def one(path: str) -> int:
            async with places:
                return await self.status(path)

        return Counter(await asyncio.gather(*map(one, paths)))


@asynccontextmanager
async def running(file: Path, one: MarkedCamera, other: MarkedCamera, *documents: str) -> AsyncIterator[Scene]:
    """A mesh of these documents."""
    _write(file, *documents)
    async with running_mesh("-f", str(file)) as mesh:
        yield Scene(mesh=mesh, one=one, other=other, file=file)


@pytest.fixture
async def cameras() -> AsyncIterator[tuple[MarkedCamera, MarkedCamera]]:
    async with MarkedCamera() as one, MarkedCamera() as other:
        yield one, other


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mesh.yaml"


Cameras = tuple[MarkedCamera, MarkedCamera]


async def test_weights_of_95_to_5_hold_over_1000_sessions_and_no_session_moves(cameras: Cameras, file: Path) -> None:
    one, other = cameras
    backends = (_backend("old", one), _backend("new", other))
    async with running(file, one, other, *backends, _route(old=95, new=5)) as scene:
        assert await scene.statuses(f"/s{number}" for number in range(SESSIONS)) == {200: SESSIONS}
        old, new = scene.counts
        assert abs(old - 950) <= 0.05 * 950
        assert abs(new - 50) <= 0.05 * 50
        async with scene.player("/long") as player:
            await eventually(lambda: player.heard(PACKETS), "media")
            (camera,) = (each for each in (one, other) if "long" in each.sessions)
            flipped = {"old": 0, "new": 1} if camera is one else {"old": 1, "new": 0}
            _write(file, *backends, _route(**flipped))
            await eventually(lambda: _is_alone(scene, "new" if camera is one else "old"), "the new weights")
            before = scene.counts
            assert await scene.statuses(f"/t{number}" for number in range(20)) == {200: 20}
            moved = Counter({one: scene.counts[0] - before[0], other: scene.counts[1] - before[1]})
            assert moved[camera] == 0
            heard = player.received
            await eventually(lambda: player.received >= heard + PACKETS, "media after the change")
        assert player.tracks[0].numbers == list(range(len(player.tracks[0].numbers)))
        assert player.foreign == []


def _is_alone(scene: Scene, backend: str) -> bool:
    """Whether the RTSP proxy knows that this backend gets all sessions."""
    answer = scene.mesh.get(f"/v1/explain?url={scene.mesh.url('/x')}")
    shares = {candidate["backend"]: candidate["share"] for candidate in answer["candidates"]}
    return shares[f"default/{backend}"] == 1 and all(proxy["current"] for proxy in answer["rtsp_proxies"])


async def test_endpoints_of_a_backend_have_their_turns(cameras: Cameras, file: Path) -> None:
    one, other = cameras
    async with running(file, one, other, _backend("both", one, other), _route(both=1)) as scene:
        assert await scene.statuses(f"/s{number}" for number in range(100)) == {200: 100}
        assert scene.counts == (50, 50)


async def test_the_same_url_goes_to_the_same_camera_where_the_policy_says_so(cameras: Cameras, file: Path) -> None:
    one, other = cameras
    documents = (_backend("both", one, other), _route(both=1), _policy("balancing: {algorithm: Maglev}"))
    async with running(file, one, other, *documents) as scene:
        paths = [f"/s{number}" for number in range(40)]
        assert await scene.statuses(paths * 3) == {200: 120}
        for path in paths:
            counts = (len(one.sessions[path[1:]]), len(other.sessions[path[1:]]))
            assert sorted(counts) == [0, 3]
        assert min(scene.counts) >= 30


async def test_a_camera_that_dies_is_left_out_and_players_go_to_the_other_one(file: Path) -> None:
    policy = _policy("ejection: {failures: 3, baseTime: 60s}")
    async with (
        MarkedCamera() as one,
        MarkedCamera() as other,
        running(file, one, other, _backend("both", one, other), _route(both=1), policy) as scene,
        scene.player("/long") as first,
        scene.player("/longer") as second,
    ):
        (lasting,) = (player for player in (first, second) if player.name in one.sessions)
        await other.__aexit__()
        # Until it is left out its players are tried at the other one, and after that nobody asks it.
        while not scene.logged("an endpoint is left out"):
            assert await scene.status("/s") == 200
        assert await scene.statuses(f"/t{number}" for number in range(30)) == {200: 30}
        assert scene.mesh.main.output.count("another endpoint is tried") == 3
        heard = lasting.received
        await eventually(lambda: lasting.received >= heard + PACKETS, "media of the camera that lives")


async def test_a_camera_that_fails_its_checks_gets_nobody_until_it_passes_again(file: Path) -> None:
    policy = _policy("healthCheck: {type: RTSP, interval: 200ms, timeout: 200ms, unhealthyThreshold: 2}")
    async with MarkedCamera() as one, MarkedCamera() as other:
        port = other.port
        documents = (_backend("both", one, other), _route(both=1), policy)
        async with running(file, one, other, *documents) as scene:
            await eventually(lambda: scene.mesh.main.output.count("passes its health checks") == 2, "the checks")
            assert await scene.statuses(f"/s{number}" for number in range(20)) == {200: 20}
            assert scene.counts == (10, 10)
            await other.__aexit__()
            await eventually(lambda: scene.logged("an endpoint fails its health checks"), "the failed check")
            assert await scene.statuses(f"/t{number}" for number in range(20)) == {200: 20}
            assert scene.counts == (30, 10)
            async with MarkedCamera(port=port) as again:
                await eventually(
                    lambda: scene.mesh.main.output.count("passes its health checks") == 3, "the good check"
                )
                assert await scene.statuses(f"/u{number}" for number in range(20)) == {200: 20}
                assert len(again.all_sessions) == 10


async def test_a_backend_takes_so_many_sessions_and_no_more(cameras: Cameras, file: Path) -> None:
    one, other = cameras
    documents = (_backend("both", one, other), _route(both=1), _policy("limits: {maxSessions: 2}"))
    async with running(file, one, other, *documents) as scene, scene.player("/a"):
        async with scene.player("/b"):
            assert await scene.status("/c") == 503
        await eventually(lambda: scene.logged("session ended"), "the end")
        assert await scene.status("/c") == 200
