"""A camera for load: as quick as can be, or silent. It answers any path with two tracks.

Over TCP, PLAY makes it send interleaved frames as fast as the connection takes them, unless it is silent; over UDP it
never sends. Run as `python -m tests.bench.camera PORT [silent]`. Threads and blocking sockets: the kernel does the
work, and a send of many frames costs one call.
"""

from __future__ import annotations

import contextlib
import itertools
import socketserver
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rtsp_filter.rtsp import Headers, Method, Parser, Request, Response, StatusCode, encode_frame, respond
from tests.peers.ports import reserve_ports
from tests.peers.process import Process

HOST = "127.0.0.1"
TRACKS = 2
PAYLOAD_BYTES = 1400
# About what the kernel moves in one go between two sockets of one machine.
WRITE_BYTES = 256 * 1024
_READ_BYTES = 65536
# Never opened: over UDP this camera is silent.
_SERVER_PORTS = "40000-40001"

_TRACK = "m={0} 0 RTP/AVP {1}\r\na=rtpmap:{1} {2}\r\na=control:track{3}\r\n"
DESCRIPTION = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=load\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n"
    + _TRACK.format("video", 96, "H264/90000", 0)
    + _TRACK.format("audio", 97, "MPEG4-GENERIC/48000", 1)
).encode()


class _Handler(socketserver.BaseRequestHandler):
    """One connection, at most one session."""

    silent = False
    _session_ids = itertools.count(1)

    def setup(self) -> None:
        self._interleaved = False
        self._session = str(next(self._session_ids))
        self._answers = {
            Method.OPTIONS: [("Public", ", ".join(Method))],
            Method.DESCRIBE: [("Content-Type", "application/sdp")],
        }

    def handle(self) -> None:
        parser = Parser()
        with contextlib.suppress(ConnectionError):
            while data := self.request.recv(_READ_BYTES):
                parser.receive_data(data)
                while (event := parser.next_event()) is not None:
                    if isinstance(event, Request):
                        self._answer(event)

    def _answer(self, request: Request) -> None:
        self.request.sendall(self._response(request).encode())
        if request.method == Method.PLAY and self._interleaved and not self.silent:
            self._blast()

    def _response(self, request: Request) -> Response:
        headers = list(self._answers.get(Method(request.method), [("Session", self._session)]))
        if request.method == Method.SETUP:
            headers.append(("Transport", self._transport(request.headers)))
        if request.method == Method.DESCRIBE:
            headers.append(("Content-Base", f"{request.url}/"))
        return respond(request, StatusCode.OK, headers, DESCRIPTION if request.method == Method.DESCRIBE else b"")

    def _transport(self, headers: Headers) -> str:
        wanted = headers.get("Transport") or ""
        self._interleaved = "interleaved" in wanted
        if self._interleaved:
            return wanted
        return wanted if self._interleaved else f"{wanted};server_port={_SERVER_PORTS}"

    def _blast(self) -> None:
        """Frames until the other side hangs up."""
        frame = encode_frame(0, bytes(PAYLOAD_BYTES))
        write = frame * (WRITE_BYTES // len(frame))
        while True:
            self.request.sendall(write)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024


@contextmanager
def load_camera(*, silent: bool) -> Iterator[tuple[str, int]]:
    """This camera in a process of its own; gives its URL and process id."""
    with reserve_ports() as ports:
        port = ports.take()
        arguments = [sys.executable, "-m", __name__, str(port), *(["silent"] if silent else [])]
        with Process(arguments) as process:
            process.wait_for_line("listening")
            yield f"rtsp://{HOST}:{port}/load", process.pid


def main() -> None:
    """Serve until SIGTERM."""
    _Handler.silent = "silent" in sys.argv[2:]
    with _Server((HOST, int(sys.argv[1])), _Handler) as server:
        print("listening", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
