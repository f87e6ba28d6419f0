"""What SETUP promises: ports that work, and a session at the camera that lasts as long as the player's."""

from __future__ import annotations

import asyncio
import os
import time
from signal import SIGCONT, SIGSTOP

import pytest

from rtsp_filter.camera import Camera, CameraSettings
from rtsp_filter.rtsp import RTSPURL, LowerTransport, SessionHeader
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh, children, receivers, running_mesh
from tests.peers.rtsp_wire import RTSPWire, eventually
from tests.peers.udp_pair import UDPPair

pytestmark = pytest.mark.integration

# Seconds after which the camera gives a silent session up.
CAMERA_TIMEOUT = 2


async def test_setup_is_answered_only_once_envoy_has_the_relay() -> None:
    async with MarkedCamera(rate=20) as camera, running_mesh("--route", f"/live={camera.url}/") as mesh:
        bystander = await connect(mesh)
        player = MarkedPlayer(mesh.url("/live/one"), LowerTransport.UDP)
        await player.connect()
        await player.describe()
        (envoy,) = children(mesh.main, "envoy")
        os.kill(envoy, SIGSTOP)
        try:
            answer = asyncio.create_task(player.set_up_track(player.tracks[0]))
            await eventually(lambda: "one" in camera.sessions, "the camera was asked")
            await eventually(lambda: relay_states(mesh.items("/v1/relays")) == ["opening"], "the relay was on its way")
            assert (await bystander.ask("OPTIONS", "*")).status == 200  # the proxy itself is not what waits
            assert not answer.done()
        finally:
            os.kill(envoy, SIGCONT)
        assert (await answer).status == 200
        assert len(receivers(mesh.main)) == 2
        await player.vanish()
        await bystander.close()


async def test_a_session_at_the_camera_is_kept_alive_for_a_player_that_says_nothing() -> None:
    async with (
        Camera(CameraSettings(port=0, session_timeout=CAMERA_TIMEOUT)) as camera,
        running_mesh("--route", f"/live={camera.url}") as mesh,
    ):
        wire = await connect(mesh)
        url, pair, arrivals = mesh.url("/live"), UDPPair("127.0.0.1"), list[float]()
        pair.start(lambda rtcp, data, source: arrivals.append(time.monotonic()))
        assert (await wire.ask("DESCRIBE", url)).status == 200
        offer = ("Transport", f"RTP/AVP;unicast;client_port={pair.ports}")
        granted = await wire.ask("SETUP", f"{url}/trackID=0", offer)
        session = SessionHeader.parse(granted.headers.get("Session") or "").id
        assert (await wire.ask("PLAY", url, ("Session", session))).status == 200
        await eventually(
            lambda: arrivals and arrivals[-1] - arrivals[0] > 3 * CAMERA_TIMEOUT, "media for three timeouts"
        )
        assert camera.session_count == 1
        await wire.close()
        pair.close()


async def connect(mesh: Mesh) -> RTSPWire:
    url = RTSPURL.parse(mesh.url("/"))
    return await RTSPWire.open(url.connect_host, url.effective_port)


def relay_states(relays: list[dict[str, str]]) -> list[str]:
    return [relay["state"] for relay in relays]
