"""The camera's sessions, request by request; time is a number."""

from __future__ import annotations

import pytest

from rtsp_filter.camera import CameraSettings
from rtsp_filter.camera.core import MAX_SESSIONS, CameraCore, SessionChanged, SessionEnded
from rtsp_filter.camera.negotiation import Peer
from rtsp_filter.camera.session import TCPTarget, UDPTarget
from rtsp_filter.rtp import Clip, ReceiverReport, serialize_compound
from rtsp_filter.rtsp import (
    Headers,
    Pair,
    Request,
    Response,
    SessionDescription,
    SessionHeader,
    State,
    parse_rtp_info,
    parse_transports,
)

CLIP = Clip.load()
URL = "rtsp://[2001:db8::1]:8554/cam"
UDP = ("Transport", "RTP/AVP;unicast;client_port=5000-5001")
TCP = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")
REPORT = serialize_compound([ReceiverReport(ssrc=1)])


def peer(connection: int = 1) -> Peer:
    return Peer(
        connection=connection,
        remote=("2001:db8::2", 40000, 0, 0),
        local="2001:db8::1",
        server_ports=Pair(6000, 6001),
    )


class Player:
    """Asks a camera over one connection, and follows its session."""

    def __init__(self, core: CameraCore, connection: int = 1) -> None:
        self.core = core
        self.peer = peer(connection)
        self.session: str | None = None

    def ask(
        self, method: str, url: str = URL, *headers: tuple[str, str], now: float = 0.0, body: bytes = b""
    ) -> Response:
        session = [("Session", self.session)] if self.session else []
        request = Request(method=method, url=url, headers=Headers([("CSeq", "1"), *session, *headers]), body=body)
        response = self.core.handle(request, self.peer, now)
        if method == "SETUP" and response.status == 200:
            self.session = SessionHeader.parse(response.headers.get("Session") or "").id
        return response

    def play(self, *transports: tuple[str, str], now: float = 0.0) -> None:
        for number, transport in enumerate(transports):
            assert self.ask("SETUP", f"{URL}/trackID={number}", transport, now=now).status == 200
        assert self.ask("PLAY", now=now).status == 200


def camera(path: str | None = None) -> CameraCore:
    return CameraCore(CameraSettings(path=path), CLIP, unix_offset=0.0)


def test_options_offers_what_is_served() -> None:
    response = Player(camera()).ask("OPTIONS", "*")
    assert response.status == 200
    assert set((response.headers.get("Public") or "").split(", ")) == {
        "OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER", "SET_PARAMETER",
    }  # fmt: skip


def test_the_description_names_both_tracks() -> None:
    response = Player(camera()).ask("DESCRIBE")
    description = SessionDescription.parse(response.body)
    assert response.headers.get("Content-Base") == f"{URL}/"
    assert response.headers.get("Content-Type") == "application/sdp"
    assert [(medium.media, medium.control) for medium in description.media] == [
        ("video", "trackID=0"),
        ("audio", "trackID=1"),
    ]
    assert description.connection_addresses == ("::",)


def test_credentials_in_a_url_are_not_echoed() -> None:
    response = Player(camera()).ask("DESCRIBE", "rtsp://user:secret@h/cam")
    assert response.headers.get("Content-Base") == "rtsp://h/cam/"


def test_any_path_answers_unless_one_is_set() -> None:
    assert Player(camera()).ask("DESCRIBE", "rtsp://h/any/thing").status == 200
    only = Player(camera(path="/cam"))
    assert only.ask("DESCRIBE", "rtsp://h/cam/?x=1").status == 200
    assert only.ask("DESCRIBE", "rtsp://h/other").status == 404
    assert only.ask("SETUP", "rtsp://h/other/trackID=0", UDP).status == 404
    assert only.ask("SETUP", "rtsp://h/cam?x=1/trackID=0", UDP).status == 200


def test_setup_over_udp_answers_with_both_pairs_of_ports() -> None:
    player = Player(camera())
    response = player.ask("SETUP", f"{URL}/trackID=0", UDP)
    (transport,) = parse_transports(response.headers.get("Transport") or "")
    assert (transport.client_port, transport.server_port) == (Pair(5000, 5001), Pair(6000, 6001))
    assert transport.ssrc is not None
    assert SessionHeader.parse(response.headers.get("Session") or "").timeout == 60
    (session,) = player.core.sessions.values()
    assert session.tracks[0].target == UDPTarget(
        local="2001:db8::1", rtp=("2001:db8::2", 5000, 0, 0), rtcp=("2001:db8::2", 5001, 0, 0)
    )


def test_setup_over_tcp_answers_with_the_channels() -> None:
    player = Player(camera())
    response = player.ask("SETUP", f"{URL}/trackID=0", TCP)
    (transport,) = parse_transports(response.headers.get("Transport") or "")
    assert transport.interleaved == Pair(0, 1)
    (session,) = player.core.sessions.values()
    assert session.tracks[0].target == TCPTarget(connection=1, channels=Pair(0, 1))


@pytest.mark.parametrize(
    ("url", "status"),
    [(URL, 459), (f"{URL}/trackID=2", 404), ("nonsense", 400)],
)
def test_setup_needs_a_track_that_is_there(url: str, status: int) -> None:
    assert Player(camera()).ask("SETUP", url, UDP).status == status


def test_a_failed_setup_leaves_no_session() -> None:
    player = Player(camera())
    assert player.ask("SETUP", f"{URL}/trackID=0", ("Transport", "RTP/AVP;multicast")).status == 461
    assert player.ask("SETUP", f"{URL}/trackID=0").status == 461
    assert player.core.sessions == {}


def test_channels_in_use_are_refused_and_free_ones_assigned() -> None:
    player = Player(camera())
    assert player.ask("SETUP", f"{URL}/trackID=0", TCP).status == 200
    assert player.ask("SETUP", f"{URL}/trackID=1", TCP).status == 461
    response = player.ask("SETUP", f"{URL}/trackID=1", ("Transport", "RTP/AVP/TCP;unicast"))
    (transport,) = parse_transports(response.headers.get("Transport") or "")
    assert transport.interleaved == Pair(2, 3)
    assert Player(player.core, connection=2).ask("SETUP", f"{URL}/trackID=0", TCP).status == 200


def test_a_track_may_be_set_up_anew_before_play() -> None:
    player = Player(camera())
    for transport in (TCP, TCP, UDP):
        assert player.ask("SETUP", f"{URL}/trackID=0", transport).status == 200
    (session,) = player.core.sessions.values()
    assert isinstance(session.tracks[0].target, UDPTarget)
    assert player.ask("SETUP", f"{URL}/trackID=1", TCP).status == 200


def test_play_tells_where_each_track_begins_and_starts_the_clock() -> None:
    player = Player(camera())
    player.ask("SETUP", f"{URL}/trackID=0", UDP)
    response = player.ask("PLAY", now=10.0)
    (session,) = player.core.sessions.values()
    (info,) = parse_rtp_info(response.headers.get("RTP-Info") or "")
    assert info.url == f"{URL}/trackID=0"
    assert info == session.rtp_info()[0]
    assert player.core.take_events() == [SessionChanged(session=session)]
    assert session.next_timer() == 10.0


def test_pause_stops_and_play_goes_on_with_the_next_numbers() -> None:
    player = Player(camera())
    player.play(UDP, now=0.0)
    (session,) = player.core.sessions.values()
    sent = session.take_due(1.0)[0].rtp
    assert player.ask("PAUSE", now=1.0).status == 200
    assert session.next_timer() is None
    assert session.take_due(9.0) == []
    (info,) = parse_rtp_info(player.ask("PLAY", now=100.0).headers.get("RTP-Info") or "")
    assert info.seq == (int.from_bytes(sent[-1][2:4], "big") + 1) % 65536
    first = session.take_due(100.1)[0].rtp[0]
    assert int.from_bytes(first[4:8], "big") == info.rtptime


def test_play_while_playing_changes_nothing() -> None:
    player = Player(camera())
    player.play(UDP)
    player.core.take_events()
    assert player.ask("PLAY", now=5.0).status == 200
    assert player.core.take_events() == []


def test_teardown_says_goodbye_and_forgets() -> None:
    player = Player(camera())
    player.play(UDP)
    player.core.take_events()
    assert player.ask("TEARDOWN", now=1.0).status == 200
    (ended,) = player.core.take_events()
    assert isinstance(ended, SessionEnded)
    assert len(ended.farewell) == 1
    assert ended.session.next_timer() is None
    assert player.ask("PLAY").status == 454


def test_channels_are_free_again_after_teardown() -> None:
    player = Player(camera())
    for _ in range(2):
        player.play(TCP)
        assert player.ask("TEARDOWN").status == 200
        player.session = None


def test_a_session_that_never_played_has_no_goodbye() -> None:
    player = Player(camera())
    player.ask("SETUP", f"{URL}/trackID=0", UDP)
    player.ask("TEARDOWN")
    (ended,) = player.core.take_events()
    assert isinstance(ended, SessionEnded)
    assert ended.farewell == []


@pytest.mark.parametrize("method", ["PLAY", "PAUSE", "TEARDOWN"])
def test_without_a_session_there_is_nothing_to_control(method: str) -> None:
    assert Player(camera()).ask(method).status == 454


def test_a_method_that_the_state_does_not_allow_is_455() -> None:
    player = Player(camera())
    player.ask("SETUP", f"{URL}/trackID=0", UDP)
    assert player.ask("PAUSE").status == 455
    player.ask("PLAY")
    assert player.ask("SETUP", f"{URL}/trackID=1", UDP).status == 455


def test_a_track_of_several_cannot_play_alone_but_a_single_one_can() -> None:
    player = Player(camera())
    player.ask("SETUP", f"{URL}/trackID=1", UDP)
    assert player.ask("PLAY", f"{URL}/trackID=1").status == 200
    both = Player(player.core, connection=2)
    both.play(TCP, ("Transport", "RTP/AVP/TCP;unicast;interleaved=2-3"))
    assert both.ask("PAUSE", f"{URL}/trackID=0").status == 460


def test_methods_that_are_not_served_are_told_apart_from_unknown_ones() -> None:
    assert Player(camera()).ask("ANNOUNCE").status == 405
    assert Player(camera()).ask("FLY").status == 501


def test_a_required_option_is_refused_by_name() -> None:
    response = Player(camera()).ask("OPTIONS", "*", ("Require", "play.warp"))
    assert (response.status, response.headers.get("Unsupported")) == (551, "play.warp")


def test_there_are_no_parameters_but_asking_for_none_is_a_keep_alive() -> None:
    player = Player(camera())
    assert player.ask("GET_PARAMETER").status == 200
    assert player.ask("SET_PARAMETER", body=b"volume: 1").status == 451
    player.session = "unknown"
    assert player.ask("GET_PARAMETER").status == 454


@pytest.mark.parametrize("method", ["GET_PARAMETER", "SET_PARAMETER", "OPTIONS"])
def test_requests_keep_a_session_alive(method: str) -> None:
    player = Player(camera())
    player.play(UDP, now=0.0)
    assert player.ask(method, now=50.0).status == 200
    player.core.expire(105.0)
    assert len(player.core.sessions) == 1
    player.core.expire(110.1)
    assert player.core.sessions == {}


def test_receiver_reports_over_udp_keep_a_session_alive_from_where_they_should_come() -> None:
    player = Player(camera())
    player.play(UDP, now=0.0)
    (session,) = player.core.sessions.values()
    player.core.receive_udp_report(REPORT, ("2001:db8::2", 5001, 0, 0), 50.0)
    assert session.last_active == 50.0
    player.core.receive_udp_report(REPORT, ("2001:db8::bad", 5001, 0, 0), 60.0)
    player.core.receive_udp_report(b"garbage", ("2001:db8::2", 5000, 0, 0), 60.0)
    assert session.last_active == 50.0


def test_a_session_over_tcp_lives_and_dies_with_its_connection() -> None:
    player = Player(camera())
    player.play(TCP, now=0.0)
    (session,) = player.core.sessions.values()
    player.core.receive_frame(1, 1, REPORT, 5.0)
    assert session.last_active == 5.0
    player.core.expire(1000.0)
    player.core.connection_lost(2, 1000.0)
    assert session.state is State.PLAYING
    player.core.connection_lost(1, 1000.0)
    assert player.core.sessions == {}


def test_a_session_over_udp_outlives_its_connection_and_is_controlled_from_another() -> None:
    player = Player(camera())
    player.play(UDP)
    player.core.connection_lost(1, 1.0)
    player.peer = peer(connection=2)
    assert player.ask("PAUSE").status == 200


def test_sessions_are_bounded() -> None:
    core = camera()
    for connection in range(MAX_SESSIONS):
        assert Player(core, connection).ask("SETUP", f"{URL}/trackID=0", TCP).status == 200
    assert Player(core, MAX_SESSIONS).ask("SETUP", f"{URL}/trackID=0", TCP).status == 453


def test_ending_all_ends_each() -> None:
    core = camera()
    for connection in range(3):
        Player(core, connection).play(TCP)
    core.take_events()
    core.end_all(1.0)
    assert len(core.take_events()) == 3
    assert core.sessions == {}
