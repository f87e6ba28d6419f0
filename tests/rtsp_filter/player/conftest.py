"""An RTSP server without I/O, as much of one as a player can tell."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from rtsp_filter.rtsp import Parser, Request, StatusCode, parse_transports, respond

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\na=control:*\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:video\r\n"
    "m=audio 0 RTP/AVP 0\r\na=control:audio\r\n"
)

Answer = tuple[int, list[tuple[str, str]], bytes]


@dataclass(kw_only=True)
class ServerCore:
    """Answers requests; `answers` replaces the usual answer to a method, `requests` keeps what was asked."""

    answers: dict[str, Callable[[Request], Answer | None]] = field(default_factory=dict)
    sdp: str = SDP
    requests: list[Request] = field(default_factory=list)
    parser: Parser = field(default_factory=Parser)
    frames: bytearray = field(default_factory=bytearray)

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.requests]

    def receive(self, data: bytes) -> bytes:
        """Requests in, responses out; interleaved frames are kept."""
        output = b""
        self.parser.receive_data(data)
        while (event := self.parser.next_event()) is not None:
            if isinstance(event, Request):
                self.requests.append(event)
                output += self._respond(event)
            else:
                self.frames += event.data  # type: ignore[union-attr]
        return output

    def _respond(self, request: Request) -> bytes:
        answer = self.answers[request.method](request) if request.method in self.answers else self._usual(request)
        if answer is None:
            return b""
        status, headers, body = answer
        return respond(request, StatusCode(status), headers, body).encode()

    def _usual(self, request: Request) -> Answer:
        match request.method:
            case "OPTIONS":
                return 200, [("Public", "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER")], b""
            case "DESCRIBE":
                return 200, [("Content-Type", "application/sdp")], self.sdp.encode()
            case "SETUP":
                (asked,) = parse_transports(request.headers.get("Transport") or "")
                granted = asked.encode() + (";server_port=7000-7001" if asked.client_port else "")
                return 200, [("Session", "abc;timeout=20"), ("Transport", granted)], b""
        return 200, [], b""


@pytest.fixture
def server() -> ServerCore:
    return ServerCore()
