"""HTTP/3 by aioquic: a server that echoes bodies and says its name, and a client that can change its port.

The HTTP is RFC 9114, the change of port (as a home router's NAT does it) RFC 9000 section 9.3.
"""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent

from tests.peers.certificates import Certificate

LOOPBACK = "127.0.0.1"
# A peer that says nothing for this long is gone.
IDLE_SECONDS = 10.0


@dataclass(slots=True, kw_only=True)
class Message:
    """Headers and body of a request or an answer, as far as they came."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)


class _Protocol(QuicConnectionProtocol):
    """Collects HTTP/3 messages by stream."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._http = H3Connection(self._quic)
        self._messages: defaultdict[int, Message] = defaultdict(Message)

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ConnectionTerminated):
            self.ended(event)
        for arrived in self._http.handle_event(event):
            self._collect(arrived)

    def complete(self, stream: int, message: Message) -> None:
        """A message has ended."""

    def ended(self, event: ConnectionTerminated) -> None:
        """The connection has ended."""

    def put(self, stream: int, headers: dict[bytes, bytes], body: bytes) -> None:
        self._http.send_headers(stream, list(headers.items()))
        self._http.send_data(stream, body, end_stream=True)
        self.transmit()

    def _collect(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            self._messages[event.stream_id].headers.update(event.headers)
        elif isinstance(event, DataReceived):
            self._messages[event.stream_id].body += event.data
        if isinstance(event, HeadersReceived | DataReceived) and event.stream_ended:
            self.complete(event.stream_id, self._messages.pop(event.stream_id))


class _Server(_Protocol):
    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._name = name

    def complete(self, stream: int, message: Message) -> None:
        self.put(stream, {b":status": b"200", b"x-server": self._name.encode()}, bytes(message.body))


class Http3Client(_Protocol):
    """A connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: dict[int, asyncio.Future[Message]] = {}

    async def request(self, method: str, path: str, body: bytes = b"") -> Message:
        """The answer. Raises ConnectionError when the connection ends before it."""
        stream = self._quic.get_next_available_stream_id()
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[stream] = answer
        names = {b":method": method.encode(), b":scheme": b"https", b":authority": b"game.test"}
        self.put(stream, {**names, b":path": path.encode()}, body)
        return await answer

    async def change_port(self) -> None:
        """Go on from another port, without a word to the server: what NAT does."""
        loop = asyncio.get_running_loop()
        old = self._transport
        assert old is not None
        family = socket.AF_INET6  # aioquic's addresses are IPv6's, with IPv4 mapped into them
        await loop.create_datagram_endpoint(lambda: self, local_addr=("::", 0), family=family)
        old.close()

    def close_port(self) -> None:
        """aioquic closes the first port only."""
        assert self._transport is not None
        self._transport.close()

    def complete(self, stream: int, message: Message) -> None:
        self._waiting.pop(stream).set_result(message)

    def ended(self, event: ConnectionTerminated) -> None:
        for answer in self._waiting.values():
            answer.set_exception(ConnectionError(event.reason_phrase))
        self._waiting.clear()


@asynccontextmanager
async def http3_server(name: str, certificate: Certificate, port: int) -> AsyncIterator[None]:
    """A server on `port` that answers each request with its body, and with its name in `x-server`."""
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN, idle_timeout=IDLE_SECONDS)
    configuration.load_cert_chain(certificate.chain, certificate.key)
    server = await serve(LOOPBACK, port, configuration=configuration, create_protocol=partial(_Server, name=name))
    try:
        yield
    finally:
        server.close()


@asynccontextmanager
async def http3_client(port: int, certificate: Certificate) -> AsyncIterator[Http3Client]:
    """A connection to `port`, its handshake done."""
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=H3_ALPN, idle_timeout=IDLE_SECONDS, server_name=certificate.name
    )
    configuration.load_verify_locations(str(certificate.chain))
    async with connect(LOOPBACK, port, configuration=configuration, create_protocol=Http3Client) as client:
        assert isinstance(client, Http3Client)
        yield client
    client.close_port()
