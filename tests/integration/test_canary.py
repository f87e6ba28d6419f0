"""A canary's share follows what is measured of it, through a whole mesh: step by step up, and down at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rtsp_filter.camera import Camera, CameraSettings
from rtsp_filter.player import PlayTransport, play_many
from rtsp_filter.rtsp import LowerTransport, Request, Response, StatusCode, respond
from tests.peers.cameras import MsmCamera
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh, running_mesh
from tests.peers.process import START_SECONDS
from tests.peers.rtsp_wire import eventually
from tests.peers.scripted_camera import ScriptedCamera

pytestmark = pytest.mark.integration

DESCRIPTION = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=full\r\nm=video 0 RTP/AVP 96\r\na=control:track=0\r\n"
API = "apiVersion: mediastreamingmesh.io/v1alpha1\n"
# Set-ups of a step: each session is two, a DESCRIBE and a SETUP.
MINIMUM = 6
STEPS = (10, 50, 100)


def _backend(name: str, port: int) -> str:
    endpoints = f"[{{name: only, address: 127.0.0.1, port: {port}}}]"
    return f"{API}kind: Backend\nmetadata: {{name: {name}}}\nspec: {{endpoints: {endpoints}}}\n"


def _documents(old: int, new: int, *, minimum: int = MINIMUM, loss: str = "") -> str:
    refs = "[{kind: Backend, name: old}, {kind: Backend, name: new, weight: 0}]"
    route = f"{API}kind: RTSPRoute\nmetadata: {{name: lobby}}\nspec: {{rules: [{{backendRefs: {refs}}}]}}\n"
    policy = (
        f"{API}kind: MediaPolicy\nmetadata: {{name: lobby}}\nspec:\n  targetRefs: [{{kind: RTSPRoute, name: lobby}}]\n"
        f"  canary:\n    backendRef: {{kind: Backend, name: new}}\n    steps: {list(STEPS)}\n    interval: 300ms\n"
        f"    setups: {{minimum: {minimum}, maxFailedPercent: 20}}\n{loss}"
    )
    return "---\n".join((_backend("old", old), _backend("new", new), route, policy))


async def _session(mesh: Mesh, name: str) -> int:
    """How a session is answered; one that works is set up and ended."""
    player = MarkedPlayer(mesh.url(name), LowerTransport.TCP, tracks=(0,))
    await player.connect()
    try:
        response = await player.describe()
        if response.status == StatusCode.OK:
            response = await player.set_up_track(player.tracks[0])
        if response.status == StatusCode.OK:
            await player.ask("TEARDOWN")
        return response.status
    finally:
        await player.vanish()


@asynccontextmanager
async def _players(mesh: Mesh) -> AsyncIterator[list[int]]:
    """Players who come and go all the time; gives how their sessions were answered."""
    answers: list[int] = []

    async def come_and_go() -> None:
        while True:
            answers.append(await _session(mesh, f"/s{len(answers)}"))

    playing = asyncio.create_task(come_and_go())
    try:
        yield answers
    finally:
        playing.cancel()
        await asyncio.wait([playing])


def _canary(mesh: Mesh) -> dict[str, Any]:
    (canary,) = mesh.items("/v1/canaries")
    return canary


async def test_a_canary_that_does_well_gets_all_sessions_in_the_end(tmp_path: Path) -> None:
    async with MarkedCamera() as old, MarkedCamera() as new:
        file = tmp_path / "mesh.yaml"
        file.write_text(_documents(old.port, new.port))
        async with running_mesh("-f", str(file)) as mesh, _players(mesh) as answers:
            await eventually(lambda: _canary(mesh)["phase"] == "promoted", "the promotion")
            seen = len(old.all_sessions)
            before = len(answers)
            await eventually(lambda: len(answers) > before + 20, "sessions after it")
            assert len(old.all_sessions) == seen
            assert set(answers) == {StatusCode.OK}
            history = _canary(mesh)["history"]
            assert [(step["phase"], step["percent"]) for step in history] == [
                *(("stepping", percent) for percent in STEPS),
                ("promoted", 100),
            ]
            assert all(step["measured"]["setups"] >= MINIMUM for step in history[1:])
            assert mesh.main.output.count("a canary takes a step") == len(STEPS)
            endpoints = mesh.items("/v1/endpoints")
            assert [each["backend"] for each in endpoints] == ["default/new", "default/old"]
            # A DESCRIBE and a SETUP over one connection.
            assert all(each["setups"] <= 2 * each["opened_connections"] <= each["setups"] + 2 for each in endpoints)


def _full(request: Request) -> Response:
    """The answers of a camera that describes its stream and has no session left for anybody."""
    if request.method == "DESCRIBE":
        return respond(request, StatusCode.OK, [("Content-Type", "application/sdp")], DESCRIPTION)
    return respond(request, StatusCode.NOT_ENOUGH_BANDWIDTH)


async def test_a_canary_that_refuses_set_ups_is_rolled_back_until_its_document_changes(tmp_path: Path) -> None:
    async with MarkedCamera() as old, ScriptedCamera(_full) as new:
        file = tmp_path / "mesh.yaml"
        file.write_text(_documents(old.port, new.port))
        async with running_mesh("-f", str(file)) as mesh, _players(mesh) as answers:
            await eventually(lambda: _canary(mesh)["phase"] == "rolled_back", "the roll-back")
            canary = _canary(mesh)
            assert [(step["phase"], step["percent"]) for step in canary["history"]] == [
                ("stepping", STEPS[0]),
                ("rolled_back", 0),
            ]
            measured = canary["history"][1]["measured"]
            assert canary["history"][1]["reason"] == (
                f"{measured['failed_setups']} of {measured['setups']} set-ups failed"
            )
            assert "a canary is rolled back" in mesh.main.output
            await eventually(lambda: _has_all(mesh, "default/old"), "the weights of the roll-back")
            underway = len(answers)
            await eventually(lambda: len(answers) > underway, "the end of a session that began before")
            asked, before = len(new.requests), len(answers)
            await eventually(lambda: len(answers) > before + 30, "sessions after it")
            assert len(new.requests) == asked
            assert set(answers[before:]) == {StatusCode.OK}
            file.write_text(_documents(old.port, new.port, minimum=MINIMUM + 1))
            await eventually(lambda: len(_canary(mesh)["history"]) > 2, "the change of the document")
            assert _canary(mesh)["history"][2]["percent"] == STEPS[0]
            await eventually(lambda: len(new.requests) > asked, "another try")
            (measured,) = (each for each in mesh.items("/v1/endpoints") if each["backend"] == "default/new")
            assert measured["failed_setups"] >= 2
            assert measured["proxies"][0]["state"] == "healthy"


def _knows_nothing(request: Request) -> Response:
    """The answers of a camera that has none of the streams."""
    return respond(request, StatusCode.NOT_FOUND)


async def test_a_canary_that_knows_no_stream_is_rolled_back(tmp_path: Path) -> None:
    async with MarkedCamera() as old, ScriptedCamera(_knows_nothing) as new:
        file = tmp_path / "mesh.yaml"
        file.write_text(_documents(old.port, new.port))
        async with running_mesh("-f", str(file)) as mesh, _players(mesh):
            await eventually(lambda: _canary(mesh)["phase"] == "rolled_back", "the roll-back")
            last = _canary(mesh)["history"][-1]
            assert (last["measured"]["failed_setups"], "were refused; its others" in last["reason"]) == (0, True)


def _has_all(mesh: Mesh, backend: str) -> bool:
    """Whether the RTSP proxy knows that this backend gets all sessions."""
    answer = mesh.get(f"/v1/explain?url={mesh.url('/x')}")
    shares = {candidate["backend"]: candidate["share"] for candidate in answer["candidates"]}
    return shares[backend] == 1 and all(proxy["current"] for proxy in answer["rtsp_proxies"])


@pytest.mark.parametrize(
    ("lost", "end"), [pytest.param(0.2, "rolled_back", id="bad"), pytest.param(0.0, "promoted", id="good")]
)
async def test_a_canary_that_loses_packets_is_rolled_back_and_one_that_loses_none_is_not(
    lost: float, end: str, tmp_path: Path
) -> None:
    loss = "    loss: {samplePercent: 100, minPackets: 100, maxLostPercent: 5}\n"
    settings = CameraSettings(port=0, loss=lost)
    async with Camera(CameraSettings(port=0)) as old, Camera(settings) as new:
        file = tmp_path / "mesh.yaml"
        file.write_text(_documents(old.port, new.port, minimum=1, loss=loss))
        async with running_mesh("-f", str(file), slots=30) as mesh:
            watching = asyncio.create_task(_watched(mesh))
            try:
                await eventually(lambda: _canary(mesh)["phase"] == end, end, timeout=50)
            finally:
                watching.cancel()
                await asyncio.wait([watching])
            last = _canary(mesh)["history"][-1]
            assert last["measured"]["packets"] >= 5
            assert last["measured"]["failed_setups"] == 0
            assert (last["measured"]["lost_packets"] > 0) is (end == "rolled_back")
            assert "packets were lost" in last["reason"]
            assert last["percent"] == (0 if end == "rolled_back" else 100)


async def _watched(mesh: Mesh) -> None:
    """Players who watch for some seconds, again and again."""
    while True:
        await play_many(mesh.url("/camera"), 2, transport=PlayTransport.TCP, seconds=2.0)


def test_a_control_plane_that_comes_back_begins_at_the_first_step_and_hears_of_all_endpoints(tmp_path: Path) -> None:
    with MsmCamera() as camera, Mesh() as mesh:
        port = int(camera.url.rpartition(":")[2].partition("/")[0])
        file = tmp_path / "mesh.yaml"
        file.write_text(_documents(port, port, minimum=1))
        control, _, proxy = mesh.serve("-f", str(file)), mesh.envoy(), mesh.proxy()
        mesh.wait_ready(proxy)
        control.wait_until(lambda: _plays_until(mesh, "promoted"), START_SECONDS, "the promotion")
        control.kill()
        again = mesh.serve("-f", str(file))
        mesh.wait_ready(again)
        again.wait_until(lambda: len(mesh.items("/v1/endpoints")) == 2, START_SECONDS, "the endpoints again")
        (begun,) = _canary(mesh)["history"]
        assert (begun["phase"], begun["percent"]) == ("stepping", STEPS[0])
        assert _canary(mesh)["measured"]["setups"] == 0
        assert all(each["setups"] > 0 for each in mesh.items("/v1/endpoints"))


def _plays_until(mesh: Mesh, phase: str) -> bool:
    """One more session; whether the canary is that far."""
    asyncio.run(play_many(mesh.url("/camera"), 1, transport=PlayTransport.TCP, seconds=0.0))
    return bool(_canary(mesh)["phase"] == phase)
