"""The client core against responses written by hand and against a second parser; time is a number."""

from __future__ import annotations

import pytest

from rtsp_filter.rtsp import (
    ClientCore,
    Credentials,
    Headers,
    InterleavedChunk,
    KeepaliveDue,
    LocalError,
    Parser,
    Request,
    RequestTimedOut,
    Response,
    ResponseReceived,
    RTSPParseError,
    ServerRequest,
    SessionHeader,
    StatusCode,
    encode_frame,
    respond,
)
from rtsp_filter.rtsp.client import RESPONSE_TIMEOUT, ClientEvent

URL = "rtsp://[2001:db8::1]/x"
SECRET = Credentials(username="u", password="p")  # noqa: S106


def sent(core: ClientCore) -> list[Request | Response]:
    parser = Parser()
    parser.receive_data(core.data_to_send())
    return [event for event in iter(parser.next_event, None) if not isinstance(event, InterleavedChunk)]


def sent_request(core: ClientCore) -> Request:
    (request,) = sent(core)
    assert isinstance(request, Request)
    return request


def give(core: ClientCore, data: bytes, now: float = 0.0) -> list[ClientEvent]:
    core.receive_data(data, now)
    return list(iter(core.next_event, None))


def answer(core: ClientCore, *headers: tuple[str, str], status: int = 200, now: float = 0.0) -> list[ClientEvent]:
    """Answer the one request that was sent."""
    return give(core, respond(sent_request(core), StatusCode(status), headers).encode(), now)


def with_session(timeout: str = ";timeout=60", now: float = 0.0) -> ClientCore:
    core = ClientCore()
    core.request("SETUP", URL, now=now)
    answer(core, ("Session", f"abc{timeout}"), now=now)
    return core


def challenged(nonce: str, *more: str) -> tuple[str, str]:
    return ("WWW-Authenticate", ", ".join([f'Digest realm="r", nonce="{nonce}"', *more]))


def test_a_request_gets_a_sequence_number_and_a_name() -> None:
    core = ClientCore(user_agent="test")
    core.request("DESCRIBE", URL, headers=[("Accept", "application/sdp")], now=0)
    core.request("OPTIONS", URL, now=0)
    first, second = sent(core)
    assert first.headers == Headers([("CSeq", "1"), ("User-Agent", "test"), ("Accept", "application/sdp")])
    assert second.cseq == 2
    assert core.data_to_send() == b""


def test_responses_find_their_requests_in_any_order() -> None:
    core = ClientCore()
    handles = [core.request(method, URL, now=0) for method in ("DESCRIBE", "OPTIONS")]
    responses = [respond(request, StatusCode.OK).encode() for request in sent(core) if isinstance(request, Request)]
    events = give(core, b"".join(reversed(responses)))
    assert [event.handle for event in events if isinstance(event, ResponseReceived)] == handles[::-1]


def test_a_response_without_cseq_answers_the_oldest_request() -> None:
    core = ClientCore()
    handle = core.request("DESCRIBE", URL, now=0)
    (event,) = give(core, b"RTSP/1.0 200 OK\r\n\r\n")
    assert isinstance(event, ResponseReceived)
    assert event.handle == handle


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_response_with_a_wrong_number_answers_the_only_request_that_waits(wrong: int) -> None:
    core = ClientCore()
    core.request("OPTIONS", URL, now=0)
    answer(core)
    handle = core.request("DESCRIBE", URL, now=0)
    (event,) = give(core, f"RTSP/1.0 400 Bad Request\r\nCseq: {wrong}\r\n\r\n".encode())
    assert isinstance(event, ResponseReceived)
    assert (event.handle, event.response.status) == (handle, 400)


def test_a_response_with_a_wrong_number_is_no_answer_where_several_requests_wait() -> None:
    core = ClientCore()
    core.request("OPTIONS", URL, now=0)
    core.request("DESCRIBE", URL, now=0)
    assert give(core, b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n") == []


def test_a_late_response_does_not_answer_the_next_request() -> None:
    core = ClientCore()
    core.request("DESCRIBE", URL, now=0)
    core.handle_timer(RESPONSE_TIMEOUT)
    assert isinstance(core.next_event(), RequestTimedOut)
    core.request("OPTIONS", URL, now=RESPONSE_TIMEOUT)
    assert give(core, b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n") == []


def test_a_response_that_nobody_waits_for_is_ignored() -> None:
    assert give(ClientCore(), b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\nRTSP/1.0 200 OK\r\n\r\n") == []


def test_a_line_end_in_a_url_is_refused() -> None:
    with pytest.raises(LocalError):
        ClientCore().request("DESCRIBE", URL + "\r\nX: y", now=0)


def test_the_session_of_setup_goes_with_every_later_request_until_teardown() -> None:
    core = with_session(";timeout=10")
    assert core.session == SessionHeader(id="abc", timeout=10)
    core.request("PLAY", URL, now=0)
    assert sent_request(core).headers.get("Session") == "abc"
    core.request("TEARDOWN", URL, now=0)
    answer(core, ("Session", "abc"))
    assert core.session is None
    core.request("OPTIONS", URL, now=0)
    assert "Session" not in sent_request(core).headers


def test_a_session_header_outside_of_setup_makes_no_session() -> None:
    core = ClientCore()
    core.request("OPTIONS", URL, now=0)
    answer(core, ("Session", "abc"))
    assert core.session is None


def test_a_later_response_without_timeout_keeps_the_one_that_was_said() -> None:
    core = with_session(";timeout=10")
    core.request("PLAY", URL, now=0)
    answer(core, ("Session", "abc"))
    assert core.session == SessionHeader(id="abc", timeout=10)


@pytest.mark.parametrize(("timeout", "due"), [(";timeout=10", 105.0), ("", 130.0)])
def test_a_keep_alive_is_due_well_before_the_server_gives_up(timeout: str, due: float) -> None:
    core = with_session(timeout, now=100.0)
    assert core.keepalive_due == core.next_timer() == due
    core.handle_timer(due - 0.1)
    assert core.next_event() is None
    core.handle_timer(due)
    assert core.next_event() == KeepaliveDue()
    assert core.next_event() is None


def test_any_request_postpones_the_keep_alive() -> None:
    core = with_session(";timeout=10")
    core.request("PLAY", URL, now=4)
    assert core.keepalive_due == 9.0


def test_without_a_session_nothing_is_kept_alive() -> None:
    core = ClientCore()
    core.request("OPTIONS", URL, now=0)
    answer(core)
    assert core.keepalive_due is None
    assert core.next_timer() is None


def test_the_keep_alive_is_what_the_server_offers_and_carries_the_session() -> None:
    core = with_session()
    core.keep_alive(URL, now=0)
    request = sent_request(core)
    assert (request.method, request.headers.get("Session")) == ("OPTIONS", "abc")
    core.request("OPTIONS", URL, now=0)
    answer(core, ("Public", "OPTIONS, get_parameter ,PLAY"))
    core.keep_alive(URL, now=0)
    assert sent_request(core).method == "GET_PARAMETER"


@pytest.mark.parametrize("status", [400, 405, 451, 501])
def test_a_server_that_refuses_what_it_offered_is_not_asked_again(status: int) -> None:
    core = with_session()
    core.request("OPTIONS", URL, now=0)
    answer(core, ("Public", "GET_PARAMETER"))
    core.keep_alive(URL, now=0)
    answer(core, status=status)
    core.keep_alive(URL, now=0)
    assert sent_request(core).method == "OPTIONS"


def test_a_parameter_that_is_not_understood_says_nothing_of_keep_alives() -> None:
    core = with_session()
    core.request("OPTIONS", URL, now=0)
    answer(core, ("Public", "GET_PARAMETER"))
    core.request("GET_PARAMETER", URL, body=b"volume", now=0)
    answer(core, status=451)
    core.keep_alive(URL, now=0)
    assert sent_request(core).method == "GET_PARAMETER"


def test_a_response_that_does_not_come_is_an_event() -> None:
    core = ClientCore()
    handle = core.request("DESCRIBE", URL, now=5)
    assert core.next_timer() == 5 + RESPONSE_TIMEOUT
    core.handle_timer(5 + RESPONSE_TIMEOUT)
    event = core.next_event()
    assert isinstance(event, RequestTimedOut)
    assert event.handle == handle
    assert answer(core) == []


def test_an_interim_response_is_no_answer_but_gives_more_time() -> None:
    core = ClientCore()
    core.request("PLAY", URL, now=0)
    assert give(core, b"RTSP/1.0 100 Continue\r\nCSeq: 1\r\n\r\n", now=7) == []
    assert core.next_timer() == 7 + RESPONSE_TIMEOUT
    assert len(answer(core, now=8)) == 1


def test_options_from_the_server_is_answered_without_an_event() -> None:
    core = ClientCore()
    assert give(core, b"OPTIONS * RTSP/1.0\r\nCSeq: 77\r\n\r\n") == []
    (response,) = sent(core)
    assert isinstance(response, Response)
    assert (response.status, response.cseq) == (200, 77)


def test_other_requests_of_the_server_are_events_to_answer() -> None:
    core = ClientCore()
    (event,) = give(core, b"REDIRECT * RTSP/1.0\r\nCSeq: 78\r\nLocation: rtsp://b/\r\n\r\n")
    assert isinstance(event, ServerRequest)
    core.respond(event.request, respond(event.request, StatusCode.OK))
    (response,) = sent(core)
    assert response.cseq == 78


def test_media_before_the_play_response_is_kept() -> None:
    core = ClientCore()
    core.request("PLAY", URL, now=0)
    play = respond(sent_request(core), StatusCode.OK).encode()
    media, response, more = give(core, encode_frame(0, b"a") + play + encode_frame(1, b"b"))
    assert isinstance(media, InterleavedChunk)
    assert isinstance(response, ResponseReceived)
    assert isinstance(more, InterleavedChunk)


def test_a_stream_that_is_no_rtsp_raises() -> None:
    with pytest.raises(RTSPParseError):
        give(ClientCore(), b"HTTP/1.1 200 OK\r\n\r\n")


def test_a_challenge_is_answered_once_and_later_requests_are_authorized_ahead() -> None:
    core = ClientCore(credentials=SECRET)
    handle = core.request("DESCRIBE", URL, headers=[("Accept", "application/sdp")], now=0)
    assert answer(core, challenged("1"), status=401) == []
    again = sent_request(core)
    assert (again.cseq, again.headers.get("Accept")) == (2, "application/sdp")
    assert 'nonce="1"' in (again.headers.get("Authorization") or "")
    (event,) = give(core, respond(again, StatusCode.OK).encode())
    assert isinstance(event, ResponseReceived)
    assert event.handle == handle
    core.request("SETUP", URL, now=0)
    assert 'nonce="1"' in (sent_request(core).headers.get("Authorization") or "")


def test_a_wrong_password_is_told_after_one_try() -> None:
    core = ClientCore(credentials=SECRET)
    core.request("DESCRIBE", URL, now=0)
    assert answer(core, challenged("1"), status=401) == []
    (event,) = answer(core, challenged("2"), status=401)
    assert isinstance(event, ResponseReceived)
    assert event.response.status == StatusCode.UNAUTHORIZED
    assert core.next_timer() is None


def test_a_stale_nonce_is_renewed_once() -> None:
    core = ClientCore(credentials=SECRET)
    core.request("DESCRIBE", URL, now=0)
    answer(core, challenged("1"), status=401)
    answer(core)
    core.request("SETUP", URL, now=0)
    assert answer(core, challenged("2", "stale=true"), status=401) == []
    assert len(answer(core, challenged("3", "stale=true"), status=401)) == 1


def test_a_nonce_that_changed_without_being_called_stale_is_renewed() -> None:
    core = ClientCore(credentials=SECRET)
    core.request("DESCRIBE", URL, now=0)
    answer(core, challenged("1"), status=401)
    answer(core)
    core.request("SETUP", URL, now=0)
    assert answer(core, challenged("2"), status=401) == []
    assert 'nonce="2"' in (sent_request(core).headers.get("Authorization") or "")


def test_basic_is_tried_once() -> None:
    core = ClientCore(credentials=SECRET)
    core.request("DESCRIBE", URL, now=0)
    assert answer(core, ("WWW-Authenticate", 'Basic realm="r"'), status=401) == []
    assert len(answer(core, ("WWW-Authenticate", 'Basic realm="r"'), status=401)) == 1


def test_without_credentials_or_with_the_callers_own_a_challenge_is_an_event() -> None:
    core = ClientCore()
    core.request("DESCRIBE", URL, now=0)
    assert len(answer(core, challenged("1"), status=401)) == 1
    core = ClientCore(credentials=SECRET)
    core.request("DESCRIBE", URL, headers=[("Authorization", "Digest of=another")], now=0)
    assert len(answer(core, challenged("1"), status=401)) == 1
