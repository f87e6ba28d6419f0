"""A camera's session descriptions and answers, as clients get them.

In these inputs a few bytes stand for what tells where the camera is, so that mutations move whole addresses about
(see `placed`). None of those may be in what the client gets.
"""

from __future__ import annotations

from contextlib import suppress

from rtsp_filter.proxy.sessions.forwarding import client_response
from rtsp_filter.proxy.sessions.presentation import Presentation, describe
from rtsp_filter.rtsp import (
    Headers,
    LocalError,
    Parser,
    Request,
    Response,
    RTSPParseError,
    SDPError,
    SessionDescription,
    resolve,
)

HOST = b"198.51.100.77"
CAMERA = "rtsp://198.51.100.77:554/stream?channel=1"
CLIENT = "rtsp://127.0.0.1:8554/lobby?token=a"
PROXY = "127.0.0.1"
# Addresses that must not be seen: anywhere in text, and as lines of a session description.
IN_TEXT = {
    b"\x01": b"rtsp://" + HOST + b":554/stream",
    b"\x02": b"RTSPS://us;er:pass,word@" + HOST + b"/a?b",
}
AS_LINES = {
    b"\x03": b"\r\nc=IN IP4 " + HOST + b"/127\r\n",
    b"\x04": b"\no=- 1 1 IN IP4 " + HOST + b"\n",
    b"\x05": b"\r\na=source-filter: incl IN IP4 * " + HOST + b"\r\n",
    b"\x06": b"\r\na=rtcp:5001 IN IP4 " + HOST + b"\r\n",
    b"\x07": b"\r\na=candidate:1 1 UDP 1 " + HOST + b" 5000 typ host\r\n",
}
REQUEST = Request(method="PLAY", url=CLIENT, headers=Headers([("CSeq", "1")]))


def placed(data: bytes, *tables: dict[bytes, bytes]) -> bytes:
    """The data with addresses in the places that its bytes mark."""
    for table in tables:
        for mark, address in table.items():
            data = data.replace(mark, address)
    return data


def description(data: bytes) -> None:
    """Whatever is a session description is kept to the byte, changes where it should, and only there."""
    try:
        parsed = SessionDescription.parse(data)
    except SDPError:
        return
    assert parsed.encode() == data
    assert all(medium.rtpmap is None or medium.rtpmap.clock_rate >= 0 for medium in parsed.media)
    controls: dict[int | None, str] = {None: "*", **{number: f"t={number}" for number in range(len(parsed.media))}}
    changed = parsed.with_controls(controls).with_connection("::1").with_origin_address("::1")
    assert changed.control == "*"
    assert [medium.control for medium in changed.media] == [controls[n] for n in range(len(parsed.media))]
    assert set(changed.connection_addresses) <= {"::1"}
    assert SessionDescription.parse(changed.encode()) == changed


def presentation(data: bytes) -> None:
    """The first line is the camera's Content-Base, the rest its session description. Each track that the client is
    shown leads to the camera, and nothing that it is shown says where that is."""
    base, _, body = placed(data, IN_TEXT, AS_LINES).partition(b"\n")
    headers = Headers.trusted([("Content-Base", base.decode("utf-8", "surrogateescape").strip())])
    try:
        shown, sdp = describe(CLIENT, CAMERA, headers, body, PROXY)
    except SDPError:
        return
    assert HOST not in sdp
    media = SessionDescription.parse(sdp).media
    assert len(media) == len(shown.tracks)
    for medium in media:
        asked = resolve(shown.client_base, medium.control)
        assert shown.covers(asked)
        assert shown.upstream(asked) in {shown.upstream_aggregate, *(track.upstream_url for track in shown.tracks)}


def answer(data: bytes) -> None:
    """Answers of a camera say nothing of where it is, in any header or body, and are whole RTSP."""
    described = Presentation.undescribed(CLIENT, CAMERA)
    with suppress(SDPError):
        described, _ = describe(CLIENT, CAMERA, Headers(), placed(data, IN_TEXT), PROXY)
    parser = Parser()
    parser.receive_data(placed(data, IN_TEXT))
    with suppress(RTSPParseError):
        while (event := parser.next_event()) is not None:
            if isinstance(event, Response):
                assert_hidden(event, described)


def assert_hidden(response: Response, described: Presentation) -> None:
    if any(name.lower().endswith(("rtsp", "rtsps")) for name, _ in response.headers.items()):
        return  # the address was put where a header's name is, so that there is no URL
    with suppress(LocalError):
        written = client_response(REQUEST, response, described, []).encode()
        assert HOST not in written
        reader = Parser()
        reader.receive_data(written)
        again = reader.next_event()
        assert isinstance(again, Response)
        assert (again.status, again.cseq) == (response.status, 1)
