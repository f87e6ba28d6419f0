"""A player that costs little: blocking, its requests timed one by one, its media counted and never looked at."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from typing import Self

from rtsp_filter.player import PlayTransport
from rtsp_filter.rtsp import (
    RTSPURL,
    ClientCore,
    InterleavedChunk,
    Method,
    Pair,
    Response,
    ResponseReceived,
    SessionDescription,
    StatusCode,
)
from rtsp_filter.rtsp.control import base_url, track_url

_READ_BYTES = 1 << 20
# Longer than the mesh itself waits for anything.
_TIMEOUT = 15.0
# A silent session's player needs no sockets for its media; nothing is sent to these.
_FIRST_CLIENT_PORT = 50_000


class Client:
    """One session. `steps`: milliseconds of each step of its set-up, in order.

    `ports`: where media of each track shall come to over UDP; `on_media` hears of what comes over TCP.
    """

    def __init__(
        self,
        url: str,
        transport: PlayTransport,
        *,
        ports: Sequence[Pair] = (),
        on_media: Callable[[InterleavedChunk], None] | None = None,
    ) -> None:
        self.steps: dict[str, float] = {}
        self.socket: socket.socket
        self._ports = ports
        self._on_media = on_media
        self._url = url
        self._transport = transport
        self._core = ClientCore()
        self._buffer = memoryview(bytearray(_READ_BYTES))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def play(self) -> None:
        """Connect and go through every request up to PLAY. Raises RuntimeError for any answer but 200."""
        target = RTSPURL.parse(self._url)
        start = time.perf_counter()
        self.socket = socket.create_connection((target.connect_host, target.effective_port), _TIMEOUT)
        self._step("connect", start)
        self._request("OPTIONS", Method.OPTIONS, self._url)
        described = self._request("DESCRIBE", Method.DESCRIBE, self._url, ("Accept", "application/sdp"))
        base = base_url(self._url, described.headers)
        for number, media in enumerate(SessionDescription.parse(described.body).media):
            transport = ("Transport", self._offer(number))
            self._request(f"SETUP {number + 1}", Method.SETUP, track_url(base, None, media.control), transport)
        self._request("PLAY", Method.PLAY, self._url, ("Range", "npt=0.000-"))

    def teardown(self) -> None:
        """End the session in order."""
        self._request("TEARDOWN", Method.TEARDOWN, self._url)

    def receive(self) -> int:
        """Wait for media and do not look at it; gives how many bytes came."""
        return self.socket.recv_into(self._buffer)

    def read(self) -> None:
        """Wait for media, and tell of it."""
        self._read()

    def _offer(self, track: int) -> str:
        if self._transport is PlayTransport.TCP:
            return f"RTP/AVP/TCP;unicast;interleaved={2 * track}-{2 * track + 1}"
        port = _FIRST_CLIENT_PORT + 2 * track
        ports = self._ports[track] if self._ports else Pair(port, port + 1)
        return f"RTP/AVP;unicast;client_port={ports}"

    def _request(self, step: str, method: Method, url: str, *headers: tuple[str, str]) -> Response:
        start = time.perf_counter()
        handle = self._core.request(method, url, headers=headers, now=start)
        self.socket.sendall(self._core.data_to_send())
        response = self._response(handle)
        self._step(step, start)
        if response.status != StatusCode.OK:
            raise RuntimeError(f"{method} {url}: {response.status} {response.reason} {response.body.decode()}")
        return response

    def _response(self, handle: int) -> Response:
        while True:
            for answer in self._read():
                if answer.handle == handle:
                    return answer.response

    def _read(self) -> list[ResponseReceived]:
        """Take what has come, to the end: the next read changes the buffer."""
        received = self.socket.recv_into(self._buffer)
        if not received:
            raise RuntimeError("the server closed the connection")
        self._core.receive_data(self._buffer[:received], time.perf_counter())
        answers = []
        while (event := self._core.next_event()) is not None:
            if isinstance(event, ResponseReceived):
                answers.append(event)
            elif isinstance(event, InterleavedChunk) and self._on_media is not None:
                self._on_media(event)
        return answers

    def _step(self, name: str, start: float) -> None:
        self.steps[name] = (time.perf_counter() - start) * 1000
