"""IPv6 on either side of the mesh, and both families on one."""

from __future__ import annotations

import asyncio

import pytest

from rtsp_filter.rtsp import LowerTransport
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh, running_mesh
from tests.peers.rtsp_wire import eventually

pytestmark = pytest.mark.integration

PACKETS = 10


async def assert_plays(mesh: Mesh, camera: MarkedCamera, name: str, lower: LowerTransport) -> None:
    """Media and reports, both ways."""
    async with MarkedPlayer(mesh.url(f"/live/{name}"), lower) as player:
        tracks = camera.session(name).tracks.values()
        await eventually(
            lambda: (
                player.heard(PACKETS)
                and all(track.reports for track in tracks)
                and all(track.reports for track in player.tracks.values())
            ),
            "media and reports",
        )
    assert player.foreign == []
    for track in player.tracks.values():
        assert track.numbers == list(range(len(track.arrivals)))


@pytest.mark.parametrize(
    ("camera_address", "mesh_address", "media"),
    [
        ("::1", "::1", ("::1",)),
        ("::1", "127.0.0.1", ("127.0.0.1", "::1")),
        ("127.0.0.1", "::1", ("127.0.0.1", "::1")),
    ],
    ids=["all IPv6", "IPv6 camera, IPv4 player", "IPv4 camera, IPv6 player"],
)
async def test_session_plays_over_these_families(
    camera_address: str, mesh_address: str, media: tuple[str, ...]
) -> None:
    async with MarkedCamera(camera_address) as camera:
        options = ("--route", f"/live={camera.url}/")
        async with running_mesh(*options, address=mesh_address, media=media) as mesh:
            await asyncio.gather(
                *(
                    assert_plays(mesh, camera, f"{lower.value}{number}", lower)
                    for lower in LowerTransport
                    for number in (1, 2)
                )
            )
