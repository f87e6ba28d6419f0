"""How sessions and the mesh itself end: on request, whole, and without a trace."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

import pytest

from rtsp_filter.rtsp import LowerTransport
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import MSM, Mesh, fetch, running_mesh
from tests.peers.process import Process, wait_until
from tests.peers.rtsp_wire import eventually

pytestmark = pytest.mark.integration

PACKETS = 10
# After SIGINT everything is over within this many seconds, sessions included.
STOP_SECONDS = 5.0


@pytest.mark.parametrize("lower", list(LowerTransport))
async def test_deleted_session_ends_for_player_and_camera_and_no_other_does(lower: LowerTransport) -> None:
    async with (
        MarkedCamera() as camera,
        running_mesh("--route", f"/live={camera.url}/") as mesh,
        MarkedPlayer(mesh.url("/live/one"), lower) as one,
        MarkedPlayer(mesh.url("/live/two"), lower) as two,
    ):
        await eventually(lambda: one.heard(PACKETS) and two.heard(PACKETS), "media")
        ids = {item["url"]: item["id"] for item in mesh.items("/v1/sessions")}
        assert mesh.fetch("DELETE", f"/v1/sessions/{ids[one.url]}")[0] == 202
        await asyncio.wait_for(one.wire.closed.wait(), 5)
        await eventually(lambda: camera.session("one").torn_down, "TEARDOWN")
        await eventually(lambda: [item["url"] for item in mesh.items("/v1/sessions")] == [two.url], "its end")
        assert {item["session"] for item in mesh.items("/v1/relays")} <= {ids[two.url]}
        assert mesh.fetch("DELETE", f"/v1/sessions/{ids[one.url]}")[0] == 404
        heard = two.received
        await eventually(lambda: two.received > heard + PACKETS, "media of the other")
    assert one.foreign == two.foreign == []


@pytest.mark.parametrize("number", [SIGINT, SIGTERM])
async def test_mesh_that_is_interrupted_in_mid_play_leaves_nothing(number: Signals, tmp_path: Path) -> None:
    async with MarkedCamera() as camera:
        mesh = Mesh()
        try:
            up = await asyncio.to_thread(mesh.up, "--route", f"/live={camera.url}/", env={"TMPDIR": str(tmp_path)})
            players = [MarkedPlayer(mesh.url(f"/live/{lower.value}"), lower) for lower in LowerTransport]
            for player in players:
                await player.__aenter__()
            await eventually(lambda: all(player.heard(PACKETS) for player in players), "media")
            assert files_in(tmp_path)

            # Fails for a process that is left behind.
            assert await asyncio.wait_for(asyncio.to_thread(up.stop, number), STOP_SECONDS) == 0

            for player in players:
                await asyncio.wait_for(player.wire.closed.wait(), 1)
                assert camera.session(player.name).torn_down
                await player.vanish()
            assert files_in(tmp_path) == []
            assert_nothing_bound(mesh)
        finally:
            await asyncio.to_thread(mesh.close)


def assert_nothing_bound(mesh: Mesh) -> None:
    """Every port of the mesh can be had, at once and without SO_REUSEADDR for UDP."""
    first, last = (int(port) for port in mesh.media_ports.split("-"))
    for port in range(first, last + 1):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", port))
    for address in (mesh.rtsp, mesh.api, mesh.xds):
        socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))).close()


def test_demo_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    with Process([MSM, "demo"], env={"TMPDIR": str(tmp_path)}) as demo:
        api = demo.wait_for_line(r"REST API +http://(.+)/docs")[1]
        wait_until(lambda: '"playing"' in fetch(api, "GET", "/v1/sessions")[1], STOP_SECONDS, "PLAY")
        ports = listening_ports(demo)
        assert ports
        # Fails for a process that is left behind.
        assert demo.stop(SIGINT) == 0
        (summary,) = [line for line in demo.lines if line.startswith("{")]
    assert all(track["packets"] for track in json.loads(summary)["tracks"])
    assert files_in(tmp_path) == []
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def listening_ports(process: Process) -> set[int]:
    """TCP ports of a process and its children."""
    listing = subprocess.run(["ss", "-Hlntp"], check=True, capture_output=True, text=True, timeout=10).stdout
    lines = [line for line in listing.splitlines() if any(f"pid={pid}," in line for pid in process.family())]
    return {int(line.split()[3].rpartition(":")[2]) for line in lines}
