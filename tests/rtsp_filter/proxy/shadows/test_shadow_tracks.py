"""How the tracks of a shadow session are asked for."""

from __future__ import annotations

import pytest

from mesh.model import BackendTransport
from rtsp_filter.player.negotiation import Presentation
from rtsp_filter.proxy.cameras.upstream import Upstream
from rtsp_filter.proxy.shadows.shadow_tracks import ShadowTracks
from rtsp_filter.resources.access import PLAIN, Access
from rtsp_filter.rtsp import Headers, LowerTransport, Request, Response, StatusCode, TransportSpec

SDP = b"v=0\r\ns=test\r\nm=video 0 RTP/AVP 96\r\na=control:v\r\nm=audio 0 RTP/AVP 0\r\na=control:a\r\n"
OFFER = Presentation.of(
    Request(method="DESCRIBE", url="rtsp://h/cam"), Response(status=StatusCode.OK, reason="OK", body=SDP)
)


class Camera:
    """Grants what it is asked for; `refuses` is answered 461."""

    def __init__(self, refuses: LowerTransport | None = None) -> None:
        self.asked: list[tuple[str, LowerTransport]] = []
        self._refuses = refuses

    async def ask(self, url: str, wanted: TransportSpec) -> Response:
        self.asked.append((url, wanted.lower))
        if wanted.lower is self._refuses:
            return Response(status=StatusCode.UNSUPPORTED_TRANSPORT, reason="no")
        return Response(status=StatusCode.OK, reason="OK", headers=Headers([("Transport", wanted.encode())]))


async def _asked(camera: Camera, transport: BackendTransport, access: Access = PLAIN) -> list[LowerTransport]:
    upstream = Upstream(access)
    upstream.local_address = "127.0.0.1"
    tracks = ShadowTracks(upstream, transport)
    try:
        await tracks.set_up(OFFER, camera.ask)
    finally:
        tracks.close()
    assert len(tracks.receivers) == 2
    return [lower for _, lower in camera.asked]


@pytest.mark.parametrize(
    ("transport", "lower"),
    [
        (BackendTransport.AUTO, LowerTransport.TCP),
        (BackendTransport.TCP, LowerTransport.TCP),
        (BackendTransport.UDP, LowerTransport.UDP),
    ],
)
async def test_tracks_come_as_the_backend_says_and_else_by_tcp(
    transport: BackendTransport, lower: LowerTransport
) -> None:
    assert await _asked(Camera(), transport) == [lower, lower]


async def test_after_a_refusal_of_tcp_the_other_tracks_are_asked_for_by_udp_at_once() -> None:
    camera = Camera(refuses=LowerTransport.TCP)
    assert await _asked(camera, BackendTransport.AUTO) == [LowerTransport.TCP, LowerTransport.UDP, LowerTransport.UDP]
    assert [url for url, _ in camera.asked] == ["rtsp://h/cam/v", "rtsp://h/cam/v", "rtsp://h/cam/a"]


async def test_nothing_comes_beside_a_connection_that_is_tunnelled_or_encrypted() -> None:
    asked = await _asked(Camera(), BackendTransport.UDP, Access(tunnelled=True))
    assert asked == [LowerTransport.TCP, LowerTransport.TCP]
