"""A server that answers RTSP requests as a test says, and remembers them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self

from rtsp_filter.rtsp import Parser, Request, Response, StatusCode, respond

Answer = Callable[[Request], Response | None]
"""What to answer; None: hang up."""


SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\n"
    b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:video\r\n"
)


def plays_nothing(request: Request) -> Response:
    """Lets one track be set up by the transport that was asked for, and played; no media comes."""
    headers = {
        "DESCRIBE": [("Content-Type", "application/sdp")],
        "SETUP": [("Session", "1"), ("Transport", request.headers.get("Transport") or "")],
    }
    body = SDP if request.method == "DESCRIBE" else b""
    return respond(request, StatusCode.OK, headers.get(request.method, []), body)


class ScriptedCamera:
    """`async with` serves at a port of the loopback. Without an `answer` requests wait for ever."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.requests: list[Request] = []
        self.port = 0
        self._answer = answer

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._connections: set[asyncio.BaseTransport] = set()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for transport in self._connections:
            transport.close()
        await self._server.wait_closed()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)


class _Connection(asyncio.Protocol):
    def __init__(self, camera: ScriptedCamera) -> None:
        self._camera = camera
        self._parser = Parser()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._camera._connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._camera._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._parser.receive_data(data)
        while (event := self._parser.next_event()) is not None:
            if isinstance(event, Request):
                self._take(event)

    def _take(self, request: Request) -> None:
        self._camera.requests.append(request)
        if self._camera._answer is None:
            return
        response = self._camera._answer(request)
        if response is None:
            self._transport.close()
        else:
            self._transport.write(response.encode())
