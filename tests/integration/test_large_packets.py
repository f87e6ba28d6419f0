"""RTP packets that no network takes in one piece arrive whole, whatever the transports of the two legs are."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsp_filter.rtsp import LowerTransport
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import running_mesh
from tests.peers.rtsp_wire import eventually

pytestmark = pytest.mark.integration

# The largest that Envoy's slots take is 9,000, as jumbo frames are.
SIZES = [1_500, 8_900]
RTP_HEADER_BYTES = 12
PACKETS = 25
DOCUMENTS = """\
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {{name: camera}}
spec:
  endpoints:
  - {{name: camera, address: 127.0.0.1, port: {port}, transport: {transport}}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {{name: live}}
spec:
  rules:
  - matches:
    - path: {{type: PathPrefix, value: /live}}
    backendRefs:
    - {{group: mediastreamingmesh.io, kind: Backend, name: camera}}
"""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("camera_lower", list(LowerTransport))
async def test_large_packets_pass_whole_between_any_two_transports(
    camera_lower: LowerTransport, size: int, tmp_path: Path
) -> None:
    async with MarkedCamera(size=size) as camera:
        text = DOCUMENTS.format(port=camera.port, transport=camera_lower.value.lower())
        (tmp_path / "live.yaml").write_text(text)
        async with running_mesh("--file", str(tmp_path)) as mesh:
            for lower in LowerTransport:
                async with MarkedPlayer(mesh.url(f"/live/{lower.value}"), lower) as player:
                    await eventually(lambda: player.heard(PACKETS), "media")
                assert player.foreign == []
                for track in player.tracks.values():
                    assert track.sizes == {size + RTP_HEADER_BYTES}
                    assert track.numbers == list(range(len(track.numbers)))
