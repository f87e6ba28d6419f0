"""A camera for load: as quick as can be, or silent. It answers any path with two tracks.

Over TCP, PLAY makes it send interleaved frames as fast as the connection takes them, or at a pace, or none; over UDP it
never sends. Run as `python -m tests.bench.camera --port PORT [--pace FRAMES_A_SECOND] [--only TCP]`. Threads and
blocking sockets: the kernel does the work, and a send of many frames costs one call.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import socketserver
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rtsp_filter.rtsp import (
    LowerTransport,
    Method,
    Parser,
    Request,
    Response,
    StatusCode,
    encode_frame,
    parse_transports,
    respond,
)
from tests.peers.ports import reserve_ports
from tests.peers.process import Process

HOST = "127.0.0.1"
TRACKS = 2
PAYLOAD_BYTES = 1400
# About what the kernel moves in one go between two sockets of one machine.
WRITE_BYTES = 256 * 1024
# With a pace: short bursts, as of the slices of a picture.
FRAMES_PER_BURST = 20
_READ_BYTES = 65536
SILENT = 0.0
FRAME = encode_frame(0, bytes(PAYLOAD_BYTES))
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

    pace: float | None = None
    only: LowerTransport | None = None
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
        if request.method == Method.PLAY and self._interleaved and self.pace != SILENT:
            self._send_at_pace(self.pace) if self.pace else self._send_all_it_takes()

    def _response(self, request: Request) -> Response:
        headers = list(self._answers.get(Method(request.method), [("Session", self._session)]))
        if request.method == Method.SETUP:
            wanted = request.headers.get("Transport") or ""
            (spec,) = parse_transports(wanted)
            if self.only not in (None, spec.lower):
                return respond(request, StatusCode.UNSUPPORTED_TRANSPORT)
            self._interleaved = spec.lower is LowerTransport.TCP
            headers.append(("Transport", wanted if self._interleaved else f"{wanted};server_port={_SERVER_PORTS}"))
        if request.method == Method.DESCRIBE:
            headers.append(("Content-Base", f"{request.url}/"))
        return respond(request, StatusCode.OK, headers, DESCRIPTION if request.method == Method.DESCRIBE else b"")

    def _send_all_it_takes(self) -> None:
        """Frames until the other side hangs up."""
        write = FRAME * (WRITE_BYTES // len(FRAME))
        while True:
            self.request.sendall(write)

    def _send_at_pace(self, pace: float) -> None:
        """So many frames a second, in short bursts, until the other side hangs up."""
        burst = min(FRAMES_PER_BURST, max(1, int(pace)))
        start = time.perf_counter()
        for sent in itertools.count(0, burst):
            time.sleep(max(0.0, sent / pace - (time.perf_counter() - start)))
            self.request.sendall(FRAME * burst)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024


@contextmanager
def load_camera(*, pace: float | None = None, only: LowerTransport | None = None) -> Iterator[tuple[str, int]]:
    """This camera in a process of its own; gives its URL and process id.

    `pace`: frames a second over TCP, SILENT for none; as many as it can unless told. `only`: the one transport that it
    grants.
    """
    with reserve_ports() as ports:
        port = ports.take()
        options = {"--port": port, "--pace": pace, "--only": only and only.value}
        arguments = [f"{name}={value}" for name, value in options.items() if value is not None]
        with Process([sys.executable, "-m", __name__, *arguments]) as process:
            process.wait_for_line("listening")
            yield f"rtsp://{HOST}:{port}/load", process.pid


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pace", type=float)
    parser.add_argument("--only", type=LowerTransport)
    options = parser.parse_args()
    _Handler.pace, _Handler.only = options.pace, options.only
    with _Server((HOST, options.port), _Handler) as server:
        print("listening", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
