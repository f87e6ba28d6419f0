"""Whatever peers write, a leg translates it or says what is wrong with it."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtsp import Headers, PlayerLeg, Request, Response, RTSPError
from rtsp_filter.rtsp.version2 import CameraLeg

NAMES = (
    "Transport",
    "Session",
    "RTP-Info",
    "Range",
    "Pipelined-Requests",
    "Require",
    "Seek-Style",
    "Public",
    "Supported",
)
WRITTEN = ('RTP/AVP;unicast;dest_addr=":1"/":2"', 'url="rtsp://h/a" ssrc=1:seq=2', "play.basic, x", "s;timeout=5", "7")
VALUES = st.sampled_from(WRITTEN) | st.text(
    st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=40
)
HEADERS = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=5).map(
    lambda items: Headers([("CSeq", "1"), *items])
)
REQUESTS = st.builds(
    Request,
    method=st.sampled_from(["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "RECORD", "PLAY_NOTIFY"]),
    url=st.sampled_from(["rtsp://h/a?b", "rtsp://h/a?b/t", "*"]),
    headers=HEADERS,
    version=st.just("RTSP/2.0"),
)
RESPONSES = st.builds(
    Response,
    status=st.sampled_from([200, 250, 404, 456, 463]),
    reason=st.just("x"),
    headers=HEADERS,
    body=st.sampled_from([b"", b"v=0\r\na=range:npt=0-3\r\n", b"<html>"]),
)


@given(st.lists(st.tuples(REQUESTS, RESPONSES), max_size=4))
def test_any_message_of_a_connection_is_translated_or_refused(exchanges: list[tuple[Request, Response]]) -> None:
    player, camera = PlayerLeg(), CameraLeg()
    for request, response in exchanges:
        with suppress(RTSPError):
            received = player.receive(request)
            assert camera.request(received).version == "RTSP/2.0"
        answer = player.answer(request, response)
        assert (answer.version, camera.response(answer).version) == ("RTSP/2.0", "RTSP/1.0")
        assert answer.encode()
