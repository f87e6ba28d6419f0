"""Session ids of cameras stay between them and the proxy."""

from __future__ import annotations

from typing import cast

from rtsp_filter.proxy.cameras.upstream import Upstream
from rtsp_filter.proxy.sessions.session_host import Described
from rtsp_filter.rtsp import LowerTransport, SessionHeader
from tests.rtsp_filter.proxy.sessions.test_session import Camera, Scene


async def test_sessions_of_two_cameras_with_one_id_do_not_collide() -> None:
    scene = Scene()
    await scene.with_a_track()
    camera = Camera()
    camera.core.session = scene.camera.core.session
    described = Described(
        presentation=scene.session.source.presentation,
        decision=scene.session.source.decision,
        upstream=cast(Upstream, camera),
    )
    other = scene.proxy.new_session(described, scene.client, LowerTransport.UDP)
    shown = {SessionHeader.parse(session.header[1]).id for session in (scene.session, other)}
    assert shown == set(scene.proxy.sessions) == {scene.session.id, other.id}
    assert len(shown) == 2
    assert camera.core.session.id not in shown
    scene.proxy.session_over(scene.session, "test")
    await scene.end()
