"""The client's side of RTSP over HTTP under full control of the test: a GET and POSTs, plain or by TLS."""

from __future__ import annotations

import asyncio
import base64
import ssl
from contextlib import suppress
from dataclasses import dataclass

ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """One HTTP connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def encoded(self, data: bytes) -> None:
        """Write in base64, as one text."""
        self.writer.write(base64.b64encode(data))

    async def head(self) -> bytes:
        """The head of an answer, HTTP's or RTSP's."""
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def rest(self) -> bytes:
        """What comes until the other side closes, or resets, the connection."""
        got = bytearray()
        async with asyncio.timeout(ANSWER_SECONDS):
            with suppress(ConnectionError):
                while data := await self.reader.read(65536):
                    got += data
        return bytes(got)

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to connect to; `local` is the address to come from."""

    port: int
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    local: str = "127.0.0.1"

    async def connect(self) -> Half:
        """A connection that has said nothing yet."""
        reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self.tls, local_addr=(self.local, 0))
        return Half(reader=reader, writer=writer)

    async def half(self, method: str, cookie: str) -> Half:
        """A GET or POST of a tunnel."""
        half = await self.connect()
        half.write(f"{method} /lobby HTTP/1.0\r\nx-sessioncookie: {cookie}\r\n\r\n".encode())
        return half

    async def get(self, cookie: str) -> Half:
        """A GET that was answered 200."""
        half = await self.half("GET", cookie)
        answer = await half.head()
        assert answer.startswith(b"HTTP/1.0 200 "), answer
        assert b"Content-Type: application/x-rtsp-tunnelled\r\n" in answer
        return half

    async def post(self, cookie: str) -> Half:
        return await self.half("POST", cookie)


def options(number: int) -> bytes:
    """A request that the proxy answers by itself."""
    return f"OPTIONS * RTSP/1.0\r\nCSeq: {number}\r\n\r\n".encode()


async def answered(answers: Half, requests: Half, number: int, *, encoded: bool) -> None:
    """Send that request, in base64 if `encoded`, and read its answer."""
    (requests.encoded if encoded else requests.write)(options(number))
    head = await answers.head()
    assert head.startswith(b"RTSP/1.0 200 OK\r\n"), head
    assert f"CSeq: {number}\r\n".encode() in head


async def refused(place: Place) -> bool:
    """Whether a new connection is closed without a word, at once or during its handshake."""
    try:
        half = await place.connect()
    except OSError:
        return True
    word = await half.rest()
    await half.close()
    return word == b""
