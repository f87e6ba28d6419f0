"""What a mesh says while it starts."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from api.progress import tell_until_ready
from tests.api.planes import empty_plane
from tests.peers.rtsp_wire import eventually


async def test_a_mesh_that_is_ready_says_nothing_of_waiting() -> None:
    plane = empty_plane()
    plane.ready.set()
    with capture_logs() as lines:
        await tell_until_ready(plane)
    assert lines == []


async def test_a_mesh_that_waits_says_for_what_and_how_many_slots_there_are_until_it_is_ready() -> None:
    plane = empty_plane()
    with capture_logs() as lines:
        telling = asyncio.create_task(tell_until_ready(plane, first=0.001), name="telling")
        await eventually(lambda: len(lines) > 2, "three words")
        plane.ready.set()
        await telling
    assert {line["event"] for line in lines} == {"the mesh is starting"}
    assert "no media proxy (Envoy) is connected" in lines[0]["waits_for"]
    assert lines[0]["slots_ready"] == f"0 of {plane.media.registry.pool.size}"
