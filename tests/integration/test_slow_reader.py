"""A player that does not read loses whole frames, and its camera never waits for it."""

from __future__ import annotations

import pytest

from rtsp_filter.rtsp import LowerTransport, encode_frame
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh, running_mesh
from tests.peers.rtsp_wire import RTSPWire, eventually

pytestmark = pytest.mark.integration

# More than all buffers on the way hold together: the kernel's and the RTSP proxy's.
FRAMES, FRAME_BYTES = 600, 60_000
PACKETS = 20


async def test_a_player_that_does_not_read_loses_whole_frames_and_its_camera_does_not_wait() -> None:
    async with MarkedCamera() as camera, running_mesh("--route", f"/live={camera.url}/") as mesh:
        lengths: list[int] = []
        host, _, port = mesh.rtsp.rpartition(":")
        wire = await RTSPWire.open(host, int(port), on_frame=lambda channel, payload: lengths.append(len(payload)))
        tcp = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")
        setup = await wire.ask("SETUP", mesh.url("/live/slow/track=0"), tcp)
        session = ("Session", (setup.headers.get("Session") or "").partition(";")[0])
        assert (await wire.ask("PLAY", mesh.url("/live/slow"), session)).status == 200

        wire.stop_reading()
        connection = camera.session("slow").connection
        for _ in range(FRAMES):
            connection.write(encode_frame(0, bytes(FRAME_BYTES)))
        await eventually(lambda: connection.unsent == 0, "the camera to be rid of its frames")
        async with MarkedPlayer(mesh.url("/live/other"), LowerTransport.TCP) as other:
            await eventually(lambda: other.heard(PACKETS), "media for another player")

        await eventually(lambda: _dropped(mesh) > 0, "the API to tell of dropped frames")
        wire.read_again()
        assert (await wire.ask("OPTIONS", mesh.url("/live/slow"), session)).status == 200
        await eventually(lambda: _dropped(mesh) >= FRAMES - lengths.count(FRAME_BYTES), "the API to tell of them all")
        await wire.close()
    large = [length for length in lengths if length == FRAME_BYTES]
    assert 0 < len(large) < FRAMES
    assert "a client takes its media again" in mesh.main.output


def _dropped(mesh: Mesh) -> int:
    """Frames of the camera that players did not take, as the API tells."""
    (endpoint,) = mesh.items("/v1/endpoints")
    return int(endpoint["frames_dropped"])
