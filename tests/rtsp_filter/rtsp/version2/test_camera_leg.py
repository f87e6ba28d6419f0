"""A camera of RTSP 2.0: what it is asked, and what a client of RTSP 1.0 gets to see of its answers."""

from __future__ import annotations

import pytest

from rtsp_filter.rtsp import Headers, Request, Response
from rtsp_filter.rtsp.version2 import CameraLeg

TRACK = "rtsp://camera.example/stream=0"


def asked(transport: str) -> Request:
    headers = Headers([("CSeq", "2"), ("Transport", transport), ("x-vendor", "1")])
    return CameraLeg().request(Request(method="SETUP", url=TRACK, headers=headers))


def answered(*headers: tuple[str, str], status: int = 200) -> Response:
    response = Response(status=status, reason="Its", headers=Headers([("CSeq", "2"), *headers]), version="RTSP/2.0")
    return CameraLeg().response(response)


def test_setup_offers_udp_in_the_words_of_both_versions_and_names_the_ranges_that_pass() -> None:
    request = asked("RTP/AVP;unicast;client_port=5000-5001")
    assert request.version == "RTSP/2.0"
    assert list(request.headers.items()) == [
        ("CSeq", "2"),
        ("Transport", 'RTP/AVP;unicast;client_port=5000-5001,RTP/AVP;unicast;dest_addr=":5000"/":5001"'),
        ("x-vendor", "1"),
        ("Accept-Ranges", "npt, clock, smpte"),
    ]


def test_interleaved_channels_are_offered_once() -> None:
    offer = "RTP/AVP/TCP;unicast;interleaved=2-3"
    assert asked(offer).headers.get("Transport") == offer


def test_an_answer_has_nothing_of_version_2() -> None:
    response = answered(
        ("Transport", 'RTP/AVP;unicast;dest_addr=":5000"/":5001";src_addr="192.0.2.1:1"/"192.0.2.1:2";mode="PLAY"'),
        ("Accept-Ranges", "npt"),
        ("Media-Properties", "No-Seeking"),
        ("Session", "s"),
    )
    written = 'RTP/AVP;unicast;source=192.0.2.1;client_port=5000-5001;server_port=1-2;mode="PLAY"'
    assert list(response.headers.items()) == [("CSeq", "2"), ("Transport", written), ("Session", "s")]
    assert (response.version, response.reason) == ("RTSP/1.0", "Its")


def test_rtp_info_is_that_of_version_1() -> None:
    info = answered(("RTP-Info", f'url="{TRACK}" ssrc=1:seq=2;rtptime=3')).headers.get("RTP-Info")
    assert info == f"url={TRACK};seq=2;rtptime=3"


@pytest.mark.parametrize(("status", "shown"), [(463, 403), (464, 455), (466, 461), (472, 502), (553, 503), (404, 404)])
def test_a_status_that_version_1_does_not_have_is_replaced(status: int, shown: int) -> None:
    assert answered(status=status).status == shown
