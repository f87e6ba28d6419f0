"""How a camera is asked for a track, and what is made of its answer, where groups come into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from mesh.model import BackendTransport
from rtsp_filter.rtsp import LowerTransport, Method, RTSPError, TransportSpec, parse_transports
from tests.peers.ports import reserve_ports
from tests.rtsp_filter.proxy.sessions.test_session import CAMERA, Scene, request

GROUP = "239.66.3.1"
BOTH = pytest.mark.parametrize("lower", list(LowerTransport))


@pytest.fixture
def granted() -> Iterator[tuple[str, str]]:
    with reserve_ports(2) as ports:
        spec = f"RTP/AVP;multicast;destination={GROUP};port={ports.first}-{ports.first + 1};ttl=1"
        yield "Transport", spec


def allow(scene: Scene, transport: BackendTransport) -> None:
    """The backend says how its media travels."""
    decision = scene.session.source.decision
    scene.session.source.decision = replace(decision, upstream=replace(decision.upstream, transport=transport))


@BOTH
async def test_a_backend_of_multicast_is_asked_for_nothing_else(
    lower: LowerTransport, granted: tuple[str, str]
) -> None:
    scene = Scene(lower)
    allow(scene, BackendTransport.MULTICAST)
    task = scene.set_up(0, lower)
    await scene.camera.answer(Method.SETUP, 200, granted)
    for relay in scene.relays.opened:
        relay.ready.set_result(None)
    (told,) = parse_transports((await task).headers.get("Transport") or "")
    assert told.lower is lower
    assert scene.camera.transports == ["RTP/AVP;multicast"]
    assert len(scene.proxy.camera_groups) == 1

    scene.proxy.session_over(scene.session, "test")
    await scene.end()
    assert len(scene.proxy.camera_groups) == 0


async def test_a_camera_that_refuses_unicast_is_asked_for_multicast_at_last(granted: tuple[str, str]) -> None:
    scene = Scene()
    task = scene.set_up(0)
    await scene.camera.answer(Method.SETUP, 461)
    await scene.camera.answer(Method.SETUP, 461)
    await scene.camera.answer(Method.SETUP, 200, granted)
    for relay in scene.relays.opened:
        if not relay.ready.done():
            relay.ready.set_result(None)
    assert (await task).status == 200
    assert [parse_transports(text)[0].delivery.value for text in scene.camera.transports] == [
        "unicast",
        "unicast",
        "multicast",
    ]
    assert [relay_id for relay_id, _ in scene.relays.closed] == ["0", "1"]

    scene.proxy.session_over(scene.session, "test")
    await scene.end()


async def test_a_camera_that_grants_a_group_where_unicast_was_asked_for_is_taken_at_its_word(
    granted: tuple[str, str],
) -> None:
    scene = Scene(LowerTransport.TCP)
    task = scene.set_up(0, LowerTransport.TCP)
    await scene.camera.answer(Method.SETUP, 200, granted)
    assert (await task).status == 200
    assert scene.camera.asked == ["SETUP"]
    assert len(scene.proxy.camera_groups) == 1

    scene.proxy.session_over(scene.session, "test")
    await scene.end()


async def test_a_camera_that_grants_unicast_where_a_group_was_asked_for_has_misunderstood() -> None:
    scene = Scene()
    allow(scene, BackendTransport.MULTICAST)
    task = scene.set_up(0)
    await scene.camera.answer(Method.SETUP, 200, ("Transport", "RTP/AVP;unicast;client_port=5000-5001"))
    with pytest.raises(RTSPError, match="granted UDP where multicast was asked for") as caught:
        await task
    assert caught.value.status == 502
    await scene.end()


async def test_nobody_records_to_a_group() -> None:
    scene = Scene()
    allow(scene, BackendTransport.MULTICAST)
    spec: TransportSpec = parse_transports("RTP/AVP;unicast;client_port=5000-5001;mode=record")[0]
    with pytest.raises(RTSPError, match="a group takes no recording") as caught:
        await scene.session.setup(request(Method.SETUP), spec, f"{CAMERA}/track=0", "video")
    assert (caught.value.status, scene.camera.asked) == (461, [])
