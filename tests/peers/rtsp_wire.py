"""An RTSP connection under full control of the test: any bytes out, responses and interleaved frames in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ssl import SSLContext
from typing import Self, cast

from rtsp_filter.rtsp import BOTH_VERSIONS, FrameAssembler, Headers, InterleavedChunk, Parser, Request, Response

# The mesh gives a camera ten seconds to answer.
ANSWER_SECONDS = 15.0
# Longer than anything takes that is not broken.
WAIT_SECONDS = 20.0
POLL_SECONDS = 0.01


async def eventually(condition: Callable[[], object], what: str, timeout: float = WAIT_SECONDS) -> None:
    """Wait until `condition` holds, and fail with `what` when it does not within `timeout` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while not condition():
        if loop.time() > deadline:
            raise AssertionError(f"{what} did not happen within {timeout:g} s")
        await asyncio.sleep(POLL_SECONDS)


class RTSPWire(asyncio.Protocol):
    """One connection to an RTSP server, which may speak both versions. Frames go to `on_frame` (channel, payload),
    requests of the server to `asked`."""

    def __init__(self, on_frame: Callable[[int, bytes], None] | None = None) -> None:
        self.closed = asyncio.Event()
        self.on_frame = on_frame
        self._parser = Parser(versions=BOTH_VERSIONS)
        self._frames = FrameAssembler()
        self.asked: asyncio.Queue[Request] = asyncio.Queue()
        self._responses: asyncio.Queue[Response] = asyncio.Queue()
        self._transport: asyncio.Transport | None = None
        self._cseq = 0

    @classmethod
    async def open(
        cls,
        address: str,
        port: int,
        *,
        local: str | None = None,
        tls: SSLContext | None = None,
        on_frame: Callable[[int, bytes], None] | None = None,
    ) -> Self:
        """Connect, from address `local` if it is given, and by TLS if `tls` is."""
        loop = asyncio.get_running_loop()
        source = None if local is None else (local, 0)
        _, wire = await loop.create_connection(lambda: cls(on_frame), address, port, local_addr=source, ssl=tls)
        return wire

    async def ask(self, method: str, url: str, *headers: tuple[str, str], body: bytes = b"") -> Response:
        """Send a request and wait for a response."""
        self.write(self.request(method, url, *headers, body=body))
        return await self.response()

    def request(self, method: str, url: str, *headers: tuple[str, str], body: bytes = b"") -> bytes:
        """A request with the next CSeq."""
        self._cseq += 1
        numbered = Headers([("CSeq", str(self._cseq)), *headers])
        return Request(method=method, url=url, headers=numbered, body=body).encode()

    async def response(self) -> Response:
        """The next response."""
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self._responses.get()

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def stop_reading(self) -> None:
        """Leave what comes where it is, as a peer that hangs."""
        assert self._transport is not None
        self._transport.pause_reading()

    def read_again(self) -> None:
        """Take what has come meanwhile, and go on."""
        assert self._transport is not None
        self._transport.resume_reading()

    async def close(self) -> None:
        """Hang up, and wait until the socket is closed."""
        assert self._transport is not None
        self._transport.close()
        await self.closed.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.receive_data(data)
        while (event := self._parser.next_event()) is not None:
            if isinstance(event, Response):
                self._responses.put_nowait(event)
            elif isinstance(event, Request):
                self.asked.put_nowait(event)
            elif isinstance(event, InterleavedChunk) and self.on_frame is not None:
                for channel, payload in self._frames.receive_chunk(event):
                    self.on_frame(channel, payload)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()
