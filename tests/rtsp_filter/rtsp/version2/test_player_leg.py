"""A player of RTSP 2.0: what a server of RTSP 1.0 gets to see of it, and what it is answered."""

from __future__ import annotations

import pytest

from rtsp_filter.rtsp import Headers, PlayerLeg, Request, Response, RTSPError, StatusCode, respond
from rtsp_filter.rtsp.version2.player_leg import MAX_REMEMBERED

STREAM = "rtsp://mesh.example/lobby"
TRACK = f"{STREAM}/trackID=0"
LIVE = b"v=0\r\nm=video 0 RTP/AVP 96\r\n"
RECORDED = b"v=0\r\na=range:npt=0-34.5\r\nm=video 0 RTP/AVP 96\r\n"
INFO = f"url={TRACK};seq=1;rtptime=2"
ADDRESSES = 'RTP/AVP;unicast;dest_addr=":5000"/":5001"'
GRANTED = ("Transport", "RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001;ssrc=0000ABCD")


def request(method: str, *headers: tuple[str, str], url: str = STREAM, version: str = "RTSP/2.0") -> Request:
    return Request(method=method, url=url, headers=Headers([("CSeq", "1"), *headers]), version=version)


def exchange(leg: PlayerLeg, asked: Request, *headers: tuple[str, str], body: bytes = b"") -> tuple[Request, Response]:
    """The request that the server gets, and the answer that the player gets to an OK with these headers."""
    received = leg.receive(asked)
    return received, leg.answer(asked, respond(received, StatusCode.OK, headers, body))


def set_up(leg: PlayerLeg, *headers: tuple[str, str], transport: str = ADDRESSES) -> tuple[Request, Response]:
    asked = request("SETUP", ("Transport", transport), ("Accept-Ranges", "npt"), *headers, url=TRACK)
    return exchange(leg, asked, ("Session", "ours;timeout=60"), GRANTED)


def test_version_1_passes_as_it_is() -> None:
    asked = request(
        "SETUP", ("Transport", "RTP/AVP;unicast;client_port=1-2"), ("Seek-Style", "RAP"), version="RTSP/1.0"
    )
    leg = PlayerLeg()
    response = respond(asked, StatusCode.LOW_ON_STORAGE_SPACE)
    assert leg.receive(asked) is asked
    assert leg.answer(asked, response) is response


def test_a_server_of_version_1_sees_nothing_of_version_2() -> None:
    strange = [("x-vendor", "1"), ("Range", "npt=0-")]
    asked = request("PLAY", ("Seek-Style", "RAP"), ("Supported", "play.scale"), ("Require", "play.basic"), *strange)
    received = PlayerLeg().receive(asked)
    assert (received.version, list(received.headers.items())) == ("RTSP/1.0", [("CSeq", "1"), *strange])


def test_what_else_is_required_stays_required() -> None:
    asked = request("PLAY", ("Require", "play.basic, com.example.x"))
    assert PlayerLeg().receive(asked).headers.get("Require") == "com.example.x"


def test_setup_is_answered_with_addresses_and_what_version_2_demands() -> None:
    received, answer = set_up(PlayerLeg())
    assert received.headers.get("Transport") == "RTP/AVP;unicast;client_port=5000-5001"
    written = 'RTP/AVP;unicast;ssrc=0000ABCD;dest_addr=":5000"/":5001";src_addr=":6000"/":6001"'
    assert (answer.version, answer.headers.get("Transport")) == ("RTSP/2.0", written)
    assert answer.headers.get("Accept-Ranges") == "npt"
    assert answer.headers.get("Media-Properties") == "No-Seeking, Time-Progressing, Time-Duration=0.0"


def test_offers_that_version_1_cannot_say_are_left_out() -> None:
    received, _ = set_up(PlayerLeg(), transport=f'RTP/AVP;unicast;dest_addr=":1";RTCP-mux,{ADDRESSES}')
    assert received.headers.get("Transport") == "RTP/AVP;unicast;client_port=5000-5001"
    received, _ = set_up(PlayerLeg(), transport='RTP/AVP;unicast;dest_addr=":1";RTCP-mux')
    assert received.headers.get("Transport") == ""


@pytest.mark.parametrize(("description", "properties"), [(LIVE, "No-Seeking"), (RECORDED, "Random-Access, Immutable")])
def test_setup_tells_what_the_description_said_of_the_stream(description: bytes, properties: str) -> None:
    leg = PlayerLeg()
    exchange(leg, request("DESCRIBE"), body=description)
    assert (set_up(leg)[1].headers.get("Media-Properties") or "").startswith(properties)


def test_a_player_that_writes_ports_gets_ports_and_rtp_info_as_it_writes_them() -> None:
    leg = PlayerLeg()
    _, answer = set_up(leg, transport="RTP/AVP;unicast;client_port=5000-5001")
    assert answer.headers.get("Transport") == GRANTED[1]
    _, answer = exchange(leg, request("PLAY"), ("RTP-Info", INFO))
    assert answer.headers.get("RTP-Info") == INFO


def test_requests_of_a_pipeline_belong_to_the_session_that_its_setup_made() -> None:
    leg = PlayerLeg()
    pipeline = ("Pipelined-Requests", "7654")
    received, answer = set_up(leg, pipeline)
    assert "Session" not in received.headers
    assert answer.headers.get("Pipelined-Requests") == "7654"
    received, answer = exchange(leg, request("PLAY", pipeline), ("Session", "ours"))
    assert (received.headers.get("Session"), answer.headers.get("Pipelined-Requests")) == ("ours", "7654")
    assert "Session" not in leg.receive(request("PLAY", ("Pipelined-Requests", "1"))).headers
    assert leg.receive(request("PLAY", pipeline, ("Session", "named"))).headers.get_all("Session") == ["named"]


def test_a_connection_has_a_limited_number_of_pipelines() -> None:
    leg = PlayerLeg()
    for number in range(MAX_REMEMBERED + 1):
        set_up(leg, ("Pipelined-Requests", str(number)))
    assert "Session" not in leg.receive(request("PLAY", ("Pipelined-Requests", "0"))).headers
    assert "Session" in leg.receive(request("PLAY", ("Pipelined-Requests", "1"))).headers


def test_play_is_answered_with_range_seek_style_and_sources() -> None:
    leg = PlayerLeg()
    set_up(leg)
    asked = request("PLAY", ("Range", "npt=3-"), ("Seek-Style", "First-Prior"))
    _, answer = exchange(leg, asked, ("RTP-Info", f"url={TRACK}/;seq=1;rtptime=2"))
    said = [answer.headers.get(name) for name in ("Range", "Seek-Style", "RTP-Info")]
    assert said == ["npt=3-", "RAP", f'url="{TRACK}/" ssrc=0000ABCD:seq=1;rtptime=2']


def test_a_camera_that_says_where_it_plays_from_is_believed() -> None:
    _, answer = exchange(PlayerLeg(), request("PLAY", ("Range", "npt=3-")), ("Range", "npt=2.5-"))
    assert answer.headers.get("Range") == "npt=2.5-"
    assert exchange(PlayerLeg(), request("PLAY"))[1].headers.get("Range") == "npt=now-"


def test_rtp_info_of_tracks_without_a_known_source_is_left_out() -> None:
    assert "RTP-Info" not in exchange(PlayerLeg(), request("PLAY"), ("RTP-Info", INFO))[1].headers


@pytest.mark.parametrize("method", ["ANNOUNCE", "RECORD"])
def test_version_2_has_no_publishing(method: str) -> None:
    with pytest.raises(RTSPError) as error:
        PlayerLeg().receive(request(method))
    assert error.value.status is StatusCode.NOT_IMPLEMENTED
    _, answer = exchange(PlayerLeg(), request("OPTIONS"), ("Public", f"OPTIONS, {method}, PLAY"))
    assert answer.headers.get("Public") == "OPTIONS, PLAY"


@pytest.mark.parametrize(
    ("status", "shown", "reason"),
    [(250, 200, "OK"), (452, 404, "Not Found"), (454, 454, "Session Not Found"), (461, 461, "Unsupported transport")],
)
def test_a_status_that_version_2_does_not_have_is_replaced(status: int, shown: int, reason: str) -> None:
    asked = request("SETUP", ("Transport", ADDRESSES))
    answer = PlayerLeg().answer(asked, respond(asked, StatusCode(status)))
    assert (answer.status, answer.reason, answer.version) == (shown, reason, "RTSP/2.0")


def test_a_player_that_tells_what_it_supports_is_told_what_is_supported() -> None:
    assert exchange(PlayerLeg(), request("OPTIONS", ("Supported", "play.basic, x")))[1].headers.get("Supported") == (
        "play.basic"
    )


def test_a_header_that_does_not_fit_is_answered_with_the_ranges_that_do() -> None:
    asked = request("PLAY", ("Range", "smpte=0-"))
    answer = PlayerLeg().answer(asked, respond(asked, StatusCode.HEADER_FIELD_NOT_VALID_FOR_RESOURCE))
    assert answer.headers.get("Accept-Ranges") == "npt"
