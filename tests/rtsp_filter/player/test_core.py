"""Two cores, no network: the player's against a server's."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtsp_filter.player import PlayTransport
from rtsp_filter.player.core import SILENCE_LIMIT, TRACK_SILENCE_LIMIT, PlayerCore
from rtsp_filter.player.events import ConnectionNeeded, Ended, PlayerEvent, PortsNeeded, ReportsMade
from rtsp_filter.player.negotiation import MAXIMUM_EXPLANATION
from rtsp_filter.player.phase import Phase
from rtsp_filter.rtp import ReceiverReport, build_header, parse_compound
from rtsp_filter.rtsp import MAX_REDIRECTS, RTSPURL, Pair, Request, encode_frame

Server = Any
"""`ServerCore` of conftest.py."""

URL = "rtsp://camera:8554/live"
SEQUENCE = ["OPTIONS", "DESCRIBE", "SETUP", "SETUP", "PLAY"]


def new_core(
    url: str = URL, *, transport: PlayTransport = PlayTransport.TCP, seconds: float | None = None
) -> PlayerCore:
    return PlayerCore(RTSPURL.parse(url), transport=transport, seconds=seconds, ssrc=0xFFFF_FFFF, cname="me", now=0.0)


def exchange(core: PlayerCore, server: Server, now: float = 0.0) -> list[PlayerEvent]:
    """Connect, give ports and pass bytes until both are quiet; what the core asked for."""
    events = []
    while True:
        while (event := core.next_event()) is not None:
            events.append(event)
            if isinstance(event, ConnectionNeeded):
                core.connected(now)
            elif isinstance(event, PortsNeeded):
                core.set_up([Pair(5000 + 2 * index, 5001 + 2 * index) for index in range(event.pairs)], now)
        sent = core.data_to_send()
        if not sent:
            return events
        core.receive_data(server.receive(sent), now)


def rtp(sequence: int) -> bytes:
    return build_header(payload_type=96, marker=False, sequence=sequence, timestamp=0, ssrc=9) + b"media"


def wait(core: PlayerCore, server: Server, *, until: float) -> list[PlayerEvent]:
    """Let time pass, timer by timer."""
    events = []
    while (at := core.next_timer()) is not None and at <= until:
        core.handle_timer(at)
        events += exchange(core, server, at)
    return events


def test_udp_sets_up_every_track_with_its_ports(server: Server) -> None:
    core = new_core(transport=PlayTransport.UDP)
    exchange(core, server)
    assert server.methods == SEQUENCE
    assert [request.url for request in server.requests] == [URL, URL, f"{URL}/video", f"{URL}/audio", URL]
    asked = [request.headers.get("Transport") for request in server.requests[2:4]]
    assert asked == ["RTP/AVP;unicast;client_port=5000-5001", "RTP/AVP;unicast;client_port=5002-5003"]
    assert [track.transport.server_port for track in core.tracks] == [Pair(7000, 7001)] * 2


def test_tcp_asks_for_a_pair_of_channels_for_each_track(server: Server) -> None:
    exchange(new_core(), server)
    asked = [request.headers.get("Transport") for request in server.requests[2:4]]
    assert asked == ["RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP/TCP;unicast;interleaved=2-3"]


def test_the_report_names_tracks_codecs_and_times(server: Server) -> None:
    core = new_core()
    exchange(core, server, 0.25)
    core.receive_data(encode_frame(0, rtp(1)), 0.5)
    core.receive_data(encode_frame(0, rtp(3)), 0.6)
    report = core.report(2.25)
    assert (report.setup_ms, report.first_packet_ms, report.duration_s) == (250.0, 500.0, 2.0)
    assert [(track.media, track.codec) for track in report.tracks] == [("video", "H264"), ("audio", "PCMU")]
    assert (report.tracks[0].packets, report.tracks[0].lost, report.tracks[0].ssrc) == (2, 1, 9)
    assert report.tracks[1].packets == 0


def test_media_before_the_play_response_counts(server: Server) -> None:
    core = new_core()
    server.answers["PLAY"] = lambda request: None
    exchange(core, server)
    core.receive_data(encode_frame(2, rtp(1)), 0.1)
    assert core.report(0.2).tracks[1].packets == 1
    assert core.report(0.2).setup_ms is None


def test_the_server_may_choose_other_channels(server: Server) -> None:
    def choose(request: Request) -> tuple[int, list[tuple[str, str]], bytes]:
        channels = "10-11" if request.url.endswith("video") else "12-13"
        return 200, [("Session", "abc"), ("Transport", f"RTP/AVP/TCP;interleaved={channels}")], b""

    server.answers["SETUP"] = choose
    core = new_core()
    exchange(core, server)
    core.receive_data(encode_frame(10, rtp(1)) + encode_frame(12, rtp(1)), 0.1)
    assert [track.packets for track in core.report(0.2).tracks] == [1, 1]


def test_no_seconds_means_teardown_right_after_play(server: Server) -> None:
    core = new_core(seconds=0)
    events = exchange(core, server)
    assert server.methods == [*SEQUENCE, "TEARDOWN"]
    assert server.requests[-1].headers.get("Session") == "abc"
    assert events[-1] == Ended()
    assert core.report(0.0).error is None


def test_teardown_comes_when_the_seconds_have_passed(server: Server) -> None:
    core = new_core(seconds=3)
    exchange(core, server, 1.0)
    wait(core, server, until=3.9)
    assert core.phase is Phase.PLAYING
    wait(core, server, until=4.0)
    assert core.phase is Phase.ENDED
    assert core.report(9.0).duration_s == 3.0


def test_an_unanswered_teardown_ends_all_the_same(server: Server) -> None:
    server.answers["TEARDOWN"] = lambda request: None
    core = new_core(seconds=0)
    exchange(core, server)
    wait(core, server, until=2.0)
    assert core.phase is Phase.ENDED
    assert core.report(9.0).error is None


def test_a_report_goes_out_each_second_over_the_odd_channels(server: Server) -> None:
    core = new_core()
    exchange(core, server)
    wait(core, server, until=2.5)
    channels = []
    while server.frames:
        length = 4 + int.from_bytes(server.frames[2:4], "big")
        channels.append(server.frames[1])
        assert isinstance(parse_compound(bytes(server.frames[4:length]))[0], ReceiverReport)
        del server.frames[:length]
    assert channels == [1, 3] * 3


def test_over_udp_reports_are_the_shells_to_send_and_our_ssrcs_differ(server: Server) -> None:
    core = new_core(transport=PlayTransport.UDP)
    events = exchange(core, server) + wait(core, server, until=0.5)
    (made,) = [event for event in events if isinstance(event, ReportsMade)]
    assert [parse_compound(datagram)[0] for datagram in made.datagrams] == [
        ReceiverReport(ssrc=0xFFFF_FFFF),
        ReceiverReport(ssrc=0),
    ]
    assert server.frames == b""


@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE"])
def test_a_redirect_is_followed(server: Server, method: str) -> None:
    elsewhere = "rtsp://other/stream"

    def redirect(request: Request) -> tuple[int, list[tuple[str, str]], bytes]:
        return (200, [], server.sdp.encode()) if request.url == elsewhere else (302, [("Location", elsewhere)], b"")

    server.answers[method] = redirect
    core = new_core()
    events = exchange(core, server)
    assert [str(event.url) for event in events if isinstance(event, ConnectionNeeded)] == [URL, elsewhere]
    assert core.report(0.0).url == elsewhere
    assert core.phase is Phase.PLAYING


def test_a_redirect_loop_ends(server: Server) -> None:
    server.answers["DESCRIBE"] = lambda request: (301, [("Location", URL)], b"")
    core = new_core()
    exchange(core, server)
    assert core.report(0.0).error == "more than 5 redirects"
    assert server.methods.count("DESCRIBE") == MAX_REDIRECTS + 1


@pytest.mark.parametrize("location", ["", "http://other/", "rtsps://other/live"])
def test_a_redirect_to_what_cannot_be_played_is_refused(server: Server, location: str) -> None:
    server.answers["DESCRIBE"] = lambda request: (302, [("Location", location)], b"")
    core = new_core()
    exchange(core, server)
    assert (core.report(0.0).error or "").startswith(f"redirected to {location!r}")


@pytest.mark.parametrize(
    ("location", "answered"), [("rtsp://camera:8554/other", True), ("rtsp://thief:8554/other", False)]
)
def test_credentials_stay_with_the_server_they_were_given_for(server: Server, location: str, answered: bool) -> None:
    def describe(request: Request) -> tuple[int, list[tuple[str, str]], bytes]:
        if request.url != location:
            return 302, [("Location", location)], b""
        if "Authorization" not in request.headers:
            return 401, [("WWW-Authenticate", 'Basic realm="camera"')], b""
        return 200, [], server.sdp.encode()

    server.answers["DESCRIBE"] = describe
    core = new_core("rtsp://user:p%40ss@camera:8554/live")
    exchange(core, server)
    given = [value for request in server.requests if (value := request.headers.get("Authorization"))]
    assert ("Basic dXNlcjpwQHNz" in given) is answered
    assert "user" not in core.report(0.0).url
    assert core.phase is (Phase.PLAYING if answered else Phase.ENDED)


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("DESCRIBE", "DESCRIBE: 404 Not Found"),
        ("SETUP", "SETUP: 404 Not Found"),
        ("PLAY", "PLAY: 404 Not Found"),
    ],
)
def test_a_refusal_is_named_with_method_status_and_reason(server: Server, method: str, error: str) -> None:
    server.answers[method] = lambda request: (404, [], b"")
    core = new_core()
    exchange(core, server)
    assert core.report(0.0).error == error
    assert core.phase is Phase.ENDED


@pytest.mark.parametrize(
    ("media_type", "body", "said"),
    [
        ("text/plain", b'no route matches the path "/x"', ': no route matches the path "/x"'),
        ("Text/Plain; charset=utf-8", b" two\r\n lines\n", ": two lines"),
        ("text/plain", b"\x1b[2J\x07 no \xff \xe2\x80\xae", ": ?[2J? no \ufffd ?"),
        ("text/plain", b"x" * 1_000, ": " + "x" * MAXIMUM_EXPLANATION + "…"),
        ("text/html", b"<html>", ""),
        ("text/plain", b"", ""),
    ],
)
def test_what_a_refusal_says_in_plain_text_is_shown_on_one_printable_line(
    server: Server, media_type: str, body: bytes, said: str
) -> None:
    server.answers["DESCRIBE"] = lambda request: (404, [("Content-Type", media_type)], body)
    core = new_core()
    exchange(core, server)
    assert core.report(0.0).error == f"DESCRIBE: 404 Not Found{said}"


def test_a_server_without_options_is_played(server: Server) -> None:
    server.answers["OPTIONS"] = lambda request: (501, [], b"")
    core = new_core()
    exchange(core, server)
    assert core.phase is Phase.PLAYING


def test_a_session_that_fails_half_way_is_torn_down(server: Server) -> None:
    server.answers["PLAY"] = lambda request: (455, [], b"")
    core = new_core()
    exchange(core, server)
    assert server.methods[-1] == "TEARDOWN"
    assert core.report(0.0).error == "PLAY: 455 Method Not Valid in This State"


@pytest.mark.parametrize(
    ("granted", "error"),
    [
        ("RTP/AVP;unicast;client_port=1-2", "SETUP: TCP was asked for, the server chose UDP"),
        ("nonsense", "SETUP: the response has no usable Transport"),
    ],
)
def test_a_transport_that_was_not_asked_for_is_refused(server: Server, granted: str, error: str) -> None:
    server.answers["SETUP"] = lambda request: (200, [("Session", "abc"), ("Transport", granted)], b"")
    core = new_core()
    exchange(core, server)
    assert core.report(0.0).error == error


@pytest.mark.parametrize(
    ("sdp", "error"),
    [
        ("v=0\r\n", "no RTP track"),
        ("v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc\r\n", "no RTP track"),
        ("v=0\r\n" + "m=video 0 RTP/AVP 96\r\n" * 17, "17 tracks, at most 16"),
        ("<html>", "not a session description"),
    ],
)
def test_a_description_that_cannot_be_played_is_refused(server: Server, sdp: str, error: str) -> None:
    server.sdp = sdp
    core = new_core()
    exchange(core, server)
    assert error in (core.report(0.0).error or "")


def test_a_server_that_never_answers_is_given_up(server: Server) -> None:
    server.answers["DESCRIBE"] = lambda request: None
    core = new_core()
    exchange(core, server)
    wait(core, server, until=60.0)
    assert core.report(60.0).error == "the server does not answer DESCRIBE"


def test_a_server_that_goes_silent_is_given_up_and_told(server: Server) -> None:
    core = new_core()
    exchange(core, server)
    core.receive_data(encode_frame(0, rtp(1)), 3.0)
    wait(core, server, until=3.0 + SILENCE_LIMIT - 1.5)
    assert core.phase is Phase.PLAYING
    wait(core, server, until=3.0 + SILENCE_LIMIT + 1.0)
    assert core.report(60.0).error == "no media for 10 s"
    assert server.methods[-1] == "TEARDOWN"


def test_a_track_without_a_packet_is_told_once_the_session_has_lasted_a_while(server: Server) -> None:
    core = new_core(seconds=TRACK_SILENCE_LIMIT)
    exchange(core, server)
    core.receive_data(encode_frame(0, rtp(1)), 1.0)
    assert core.report(TRACK_SILENCE_LIMIT - 0.1).error is None
    wait(core, server, until=TRACK_SILENCE_LIMIT)
    assert core.phase is Phase.ENDED
    assert core.report(60.0).error == "no packets on audio"


def test_tracks_that_went_silent_are_told_until_media_comes_again(server: Server) -> None:
    core = new_core()
    exchange(core, server)
    for channel in (0, 2):
        core.receive_data(encode_frame(channel, rtp(1)), 1.0)
    assert core.report(7.0).error == "no packets on video for the last 6 s; no packets on audio for the last 6 s"
    for channel in (0, 2):
        core.receive_data(encode_frame(channel, rtp(2)), 8.0)
    assert core.report(9.0).error is None


def test_a_track_that_may_have_nothing_to_say_may_be_silent(server: Server) -> None:
    server.sdp = server.sdp.replace("m=audio", "m=application")
    core = new_core()
    exchange(core, server)
    core.receive_data(encode_frame(0, rtp(1)), 60.0)
    assert core.report(60.0).error is None


def test_a_session_that_failed_keeps_its_own_reason(server: Server) -> None:
    core = new_core()
    exchange(core, server)
    core.connection_lost("gone", 30.0)
    assert core.report(30.0).error == "gone"


def test_a_connection_that_is_lost_ends_the_session_with_its_reason(server: Server) -> None:
    core = new_core()
    exchange(core, server)
    core.connection_lost("gone", 1.0)
    assert core.report(5.0).error == "gone"
    assert core.next_event() == Ended()
    assert core.next_timer() is None


def over_udp(server: Server, *, seconds: float | None = None) -> PlayerCore:
    """A session that plays since 0 and has got media."""
    core = new_core(transport=PlayTransport.UDP, seconds=seconds)
    exchange(core, server)
    hear(core, 0.0)
    return core


def hear(core: PlayerCore, now: float) -> None:
    for track in core.tracks:
        track.receiver.rtp_received(rtp(1), now)


def test_a_session_over_udp_connects_again_when_its_connection_is_lost_and_goes_on(server: Server) -> None:
    core = over_udp(server)
    hear(core, 5.0)
    core.connection_lost("gone", 5.0)
    assert core.phase is Phase.RECONNECTION
    assert core.report(5.0).error == "gone"
    assert ConnectionNeeded(url=RTSPURL.parse(URL)) in wait(core, server, until=5.0)
    asked = server.requests[-1]
    assert (asked.method, asked.headers.get("Session")) == ("GET_PARAMETER", "abc")
    assert core.phase is Phase.PLAYING
    report = core.report(5.0)
    assert (report.error, report.reconnections) == (None, 1)
    assert (report.setup_ms, report.duration_s) == (0.0, 5.0)


def test_it_tries_again_every_second_and_sends_reports_and_receives_on_meanwhile(server: Server) -> None:
    core = over_udp(server)
    core.connection_lost("gone", 5.5)
    attempts: list[float] = []
    reports = 0
    while (at := core.next_timer()) is not None and at < 8.6:
        core.handle_timer(at)
        hear(core, at)
        while (event := core.next_event()) is not None:
            reports += isinstance(event, ReportsMade)
            if isinstance(event, ConnectionNeeded):
                attempts.append(at)
                core.connection_lost("refused", at)
    assert attempts == [5.5, 6.5, 7.5, 8.5]
    assert reports >= 3
    assert core.report(8.6).error == "gone"


def test_a_server_that_no_longer_has_the_session_ends_it_with_both_reasons(server: Server) -> None:
    core = over_udp(server)
    server.answers["GET_PARAMETER"] = lambda request: (454, [], b"")
    core.connection_lost("gone", 5.0)
    wait(core, server, until=6.0)
    error = core.report(6.0).error
    assert error is not None
    assert error.startswith("gone, and then: the server has ended the session (GET_PARAMETER: 454")


def test_a_session_without_connection_ends_when_no_media_comes_any_more(server: Server) -> None:
    core = over_udp(server)
    core.connection_lost("gone", 5.0)
    while core.phase is not Phase.ENDED and (at := core.next_timer()) is not None:
        core.handle_timer(at)
        while (event := core.next_event()) is not None:
            if isinstance(event, ConnectionNeeded):
                core.connection_lost("refused", at)
    assert core.report(60.0).error == f"gone, and then: no media for {SILENCE_LIMIT:g} s"


def test_a_session_that_ends_while_it_has_no_connection_says_so(server: Server) -> None:
    core = over_udp(server, seconds=5.5)
    core.connection_lost("gone", 5.0)
    core.handle_timer(5.5)
    assert core.phase is Phase.ENDED
    assert core.report(5.5).error == "gone"


def test_what_is_no_rtsp_ends_a_session_over_udp_too(server: Server) -> None:
    core = over_udp(server)
    core.receive_data(b"no RTSP at all\r\n\r\n", 5.0)
    assert core.phase is not Phase.RECONNECTION
    assert "does not speak RTSP" in (core.report(5.0).error or "")


def test_a_connection_that_is_lost_after_teardown_is_no_error(server: Server) -> None:
    server.answers["TEARDOWN"] = lambda request: None
    core = new_core(seconds=0)
    exchange(core, server)
    core.connection_lost("gone", 1.0)
    assert core.report(5.0).error is None


def test_the_session_is_kept_alive_and_its_loss_is_noticed(server: Server) -> None:
    core = new_core()
    exchange(core, server)
    for second in range(1, 25):
        core.receive_data(encode_frame(0, rtp(second)), float(second))
        wait(core, server, until=float(second))
    assert server.methods.count("GET_PARAMETER") == 2
    server.answers["GET_PARAMETER"] = lambda request: (454, [], b"")
    for second in range(25, 35):
        core.receive_data(encode_frame(0, rtp(second)), float(second))
        wait(core, server, until=float(second))
    assert "454 Session Not Found" in (core.report(40.0).error or "")


def test_stopping_before_there_is_a_session_sends_nothing(server: Server) -> None:
    core = new_core()
    core.stop(0.0)
    assert core.data_to_send() == b""
    assert core.phase is Phase.ENDED


@given(st.binary(max_size=200))
def test_garbage_from_the_server_never_raises(data: bytes) -> None:
    core = new_core()
    core.connected(0.0)
    core.receive_data(data, 0.0)


@given(cuts=st.lists(st.integers(1, 60), min_size=1, max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_chunking_of_the_servers_bytes_gives_the_same_report(server: Server, cuts: list[int]) -> None:
    core = new_core()
    exchange(core, server)
    data = b"".join(encode_frame(number % 4, rtp(number)) for number in range(40))
    position = 0
    for size in cuts:
        core.receive_data(data[position : position + size], 1.0)
        position += size
    core.receive_data(data[position:], 1.0)
    assert [track.packets for track in core.report(2.0).tracks] == [10, 10]
