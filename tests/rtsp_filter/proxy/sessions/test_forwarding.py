"""Messages on their way through the proxy: what changes, and that nothing else does."""

from __future__ import annotations

from rtsp_filter.proxy.sessions.forwarding import client_response, request_headers
from rtsp_filter.proxy.sessions.presentation import Presentation, describe
from rtsp_filter.rtsp import Headers, Method, Request, Response

CAMERA = "rtsp://192.0.2.10/stream1"
CLIENT = "rtsp://mesh.example/lobby"
SDP = b"v=0\r\nm=video 0 RTP/AVP 96\r\na=control:trackID=0\r\nm=audio 0 RTP/AVP 97\r\na=control:trackID=1\r\n"


def presentation() -> Presentation:
    headers = Headers([("Content-Base", f"{CAMERA}/")])
    return describe(CLIENT, CAMERA, headers, SDP, "127.0.0.1")[0]


def request(method: str = Method.PLAY, *headers: tuple[str, str]) -> Request:
    return Request(method=method, url=CLIENT, headers=Headers([("Cseq", "7"), *headers]))


def answered(status: int, *headers: tuple[str, str], body: bytes = b"") -> Response:
    response = Response(status=status, reason="Whatever", headers=Headers([("CSeq", "2"), *headers]), body=body)
    return client_response(request(), response, presentation(), [("Session", "ours")])


def test_headers_that_nobody_knows_reach_the_camera_unchanged_and_in_order() -> None:
    strange = [("x-Vendor", "a;b=  c"), ("RANGE", "npt=0-"), ("x-vendor", ""), ("Rate-Control", "no")]
    own = [("session", "ours"), ("TRANSPORT", "RTP/AVP"), ("Content-length", "0")]
    assert request_headers(request(Method.PLAY, *own, *strange)) == strange


def test_headers_that_nobody_knows_reach_the_player_unchanged_and_in_order() -> None:
    strange = [("x-Dynamic-Rate", "1"), ("DATE", "Mon, 1 Jan"), ("x-dynamic-rate", "2; a")]
    answer = answered(200, ("Session", "theirs"), *strange)
    assert list(answer.headers.items()) == [("CSeq", "7"), ("Session", "ours"), *strange]


def test_what_a_camera_does_not_support_is_told_by_name() -> None:
    answer = answered(551, ("Unsupported", "implicit-play"))
    assert (answer.status, answer.headers.get("Unsupported")) == (551, "implicit-play")
    require = ("Require", "onvif-replay, www.onvif.org/ver20/backchannel")
    assert request_headers(request(Method.SETUP, require)) == [require]


def test_rtp_info_after_a_pause_names_the_players_urls_and_the_cameras_numbers() -> None:
    written = f"url={CAMERA}/trackID=0;seq=65535;rtptime=4294967295,url=trackID=1;seq=3"
    for status in (200, 206):
        info = answered(status, ("RTP-Info", written)).headers.get("RTP-Info")
        assert info == f"url={CLIENT}/trackID=0;seq=65535;rtptime=4294967295,url={CLIENT}/trackID=1;seq=3"


def test_without_rtp_info_of_the_camera_there_is_none_for_the_player() -> None:
    assert "RTP-Info" not in answered(200).headers


def test_play_of_one_track_goes_to_that_track_and_of_all_to_all() -> None:
    shown = presentation()
    assert shown.upstream(f"{CLIENT}/trackID=1") == f"{CAMERA}/trackID=1"
    assert shown.upstream(f"{CLIENT}/") == f"{CAMERA}/"
