"""Two proxies that were given one name: the second is refused while the first is there, and takes over after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh, children
from tests.peers.process import Process
from tests.peers.rtsp_wire import eventually

pytestmark = pytest.mark.integration

PACKETS = 15
# A proxy that was refused tries again every second.
TAKE_OVER_SECONDS = 4.0


@asynccontextmanager
async def mesh_without_proxies() -> AsyncIterator[tuple[Mesh, Process]]:
    async with MarkedCamera(rate=20) as camera:
        with Mesh() as mesh:
            control_plane = await asyncio.to_thread(mesh.serve, "--route", f"/live={camera.url}/")
            try:
                yield mesh, control_plane
            finally:
                await asyncio.to_thread(mesh.close)


async def more(player: MarkedPlayer) -> None:
    heard = player.received
    await eventually(lambda: player.received > heard + PACKETS, "more media")


def relays(mesh: Mesh) -> list[dict[str, Any]]:
    """All of every relay but what its media changes."""
    measured = ("traffic", "activity")
    return [{key: value for key, value in item.items() if key not in measured} for item in mesh.items("/v1/relays")]


async def test_second_rtsp_proxy_of_a_name_touches_no_session_of_the_first() -> None:
    async with mesh_without_proxies() as (mesh, control_plane):
        await asyncio.to_thread(mesh.envoy)
        first = await asyncio.to_thread(mesh.proxy, "--rtsp-node", "twin")
        await asyncio.to_thread(mesh.wait_ready, control_plane)
        async with MarkedPlayer(mesh.url("/live/one")) as player:
            await more(player)
            before = relays(mesh)
            second = mesh.start("proxy", "--rtsp", "127.0.0.1:0", "--xds", mesh.xds, "--rtsp-node", "twin")
            await asyncio.to_thread(second.wait_for_line, "refuses this RTSP proxy.*'twin'.*--rtsp-node")
            await asyncio.to_thread(control_plane.wait_for_line, "its name is taken.*--rtsp-node")
            await more(player)
            assert relays(mesh) == before
            assert len(mesh.items("/v1/sessions")) == 1
            assert not player.foreign
        first.kill()
        await asyncio.to_thread(second.wait_for_line, "connected to the control plane", TAKE_OVER_SECONDS)


async def test_second_envoy_of_a_name_takes_over_only_when_the_first_is_gone() -> None:
    async with mesh_without_proxies() as (mesh, control_plane):
        first = await asyncio.to_thread(mesh.envoy)
        await asyncio.to_thread(mesh.proxy)
        await asyncio.to_thread(mesh.wait_ready, control_plane)
        async with MarkedPlayer(mesh.url("/live/one")) as player:
            await more(player)
            second = await asyncio.to_thread(mesh.envoy)
            await asyncio.to_thread(control_plane.wait_for_line, "another media proxy is connected as 'envoy'")
            await asyncio.to_thread(second.wait_for_line, "envoy says.*another media proxy is connected as 'envoy'")
            await more(player)
            assert mesh.ready()
            first.kill()
            await more(player)
            assert mesh.ready()
            assert children(second, "envoy")
            assert not player.foreign
