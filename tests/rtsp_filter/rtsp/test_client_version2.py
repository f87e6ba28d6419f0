"""The client core and a server that takes RTSP 2.0 only."""

from __future__ import annotations

from rtsp_filter.rtsp import (
    BOTH_VERSIONS,
    ClientCore,
    Parser,
    Request,
    Response,
    ResponseReceived,
    ServerRequest,
    StatusCode,
    respond,
)
from rtsp_filter.rtsp.client import ClientEvent

URL = "rtsp://camera.example/x"
REFUSAL = "RTSP/2.0 505 RTSP Version Not Supported\r\nCSeq: {}\r\n\r\n"


def sent(core: ClientCore) -> list[Request | Response]:
    parser = Parser(versions=BOTH_VERSIONS)
    parser.receive_data(core.data_to_send())
    return [event for event in iter(parser.next_event, None) if isinstance(event, Request | Response)]


def give(core: ClientCore, text: str) -> list[ClientEvent]:
    core.receive_data(text.encode(), 0.0)
    return list(iter(core.next_event, None))


def test_a_server_that_refuses_version_1_is_asked_again_in_version_2() -> None:
    core = ClientCore()
    core.request("OPTIONS", URL, now=0)
    handle = core.request("SETUP", URL, headers=[("Transport", "RTP/AVP;unicast;client_port=5000-5001")], now=0)
    assert [request.version for request in sent(core)] == ["RTSP/1.0", "RTSP/1.0"]
    assert give(core, REFUSAL.format(1) + REFUSAL.format(2)) == []
    again = sent(core)
    assert [(request.version, request.cseq) for request in again] == [("RTSP/2.0", 3), ("RTSP/2.0", 4)]
    assert "dest_addr" in (again[1].headers.get("Transport") or "")
    granted = 'Transport: RTP/AVP;unicast;dest_addr=":5000"/":5001"\r\nSession: s\r\nMedia-Properties: Unlimited\r\n'
    (event,) = give(core, f"RTSP/2.0 200 OK\r\nCSeq: 4\r\n{granted}\r\n")
    assert isinstance(event, ResponseReceived)
    assert (event.handle, event.response.version) == (handle, "RTSP/1.0")
    assert event.response.headers.get("Transport") == "RTP/AVP;unicast;client_port=5000-5001"
    assert "Media-Properties" not in event.response.headers


def test_a_server_that_refuses_both_versions_is_not_asked_for_ever() -> None:
    core = ClientCore()
    core.request("OPTIONS", URL, now=0)
    give(core, REFUSAL.format(1))
    (event,) = give(core, REFUSAL.format(2))
    assert isinstance(event, ResponseReceived)
    assert event.response.status == 505


def test_a_refusal_of_version_1_alone_is_an_answer() -> None:
    core = ClientCore()
    core.request("OPTIONS", URL, now=0)
    (event,) = give(core, REFUSAL.format(1).replace("2.0", "1.0"))
    assert isinstance(event, ResponseReceived)
    assert event.response.status == 505


def test_notices_and_options_of_a_server_are_answered_in_its_version() -> None:
    core = ClientCore()
    reason = "Notify-Reason: end-of-stream\r\n"
    (notice,) = give(core, f"PLAY_NOTIFY {URL} RTSP/2.0\r\nCSeq: 5\r\nSession: s\r\n{reason}\r\n")
    assert isinstance(notice, ServerRequest)
    assert notice.notice
    core.respond(notice.request, respond(notice.request, StatusCode.OK))
    for text in (
        f"PLAY_NOTIFY {URL} RTSP/2.0\r\nCSeq: 6\r\n\r\n",
        "OPTIONS * RTSP/2.0\r\nCSeq: 7\r\n\r\n",
    ):
        assert give(core, text) == []
    answers = sent(core)
    assert [(answer.status, answer.cseq) for answer in answers if isinstance(answer, Response)] == [
        (200, 5),
        (465, 6),
        (200, 7),
    ]
    assert {answer.version for answer in answers} == {"RTSP/2.0"}
