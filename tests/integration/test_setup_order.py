"""What SETUP and PLAY promise: ports that work, and a session at the camera that lasts as long as the player's."""

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
PACKETS = 5


async def test_no_camera_is_asked_to_play_before_envoy_has_the_relays() -> None:
    async with MarkedCamera(rate=20) as camera, running_mesh("--route", f"/live={camera.url}/") as mesh:
        player = MarkedPlayer(mesh.url("/live/one"), LowerTransport.UDP)
        await player.connect()
        (envoy,) = children(mesh.main, "envoy")
        os.kill(envoy, SIGSTOP)
        try:
            await player.set_up()
            playing = asyncio.create_task(player.play())
            await eventually(
                lambda: relay_states(mesh.items("/v1/relays")) == ["opening"] * 2, "the relays were on their way"
            )
            async with MarkedPlayer(mesh.url("/live/two"), LowerTransport.TCP) as other:
                # The proxy itself is not what waits: a session that was asked for later plays.
                await eventually(lambda: other.heard(PACKETS), "media of another session")
            assert not playing.done()
            assert not camera.sessions["one"][0].playing
        finally:
            os.kill(envoy, SIGCONT)
        await playing
        assert len(receivers(mesh.main)) == 2 * len(player.tracks)
        await eventually(lambda: player.heard(PACKETS), "media")
        assert all(track.numbers[0] == 0 for track in player.tracks.values())  # the very first packet came
        await player.vanish()


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
