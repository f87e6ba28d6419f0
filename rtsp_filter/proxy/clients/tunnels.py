"""RTSP over HTTP: two connections of a client, which together are one `ClientConnection`.

A `Tunnel` is that connection's transport: what is written to it goes out on the GET, what comes in on the POST is
decoded and handed on, and while it is not to be read, the POST is not. The GET is the tunnel: all ends with it. The
POST may end, and be followed by another.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Protocol

import structlog

from rtsp_filter.proxy.clients.connection import ClientConnection, ConnectionHost
from rtsp_filter.proxy.clients.elsewhere import MeetingHost, Meetings
from rtsp_filter.proxy.clients.tunnel import ANSWERS_OPEN, Base64Stream, Half, TunnelError, TunnelKey
from rtsp_filter.proxy.limits import JOIN_TIMEOUT, MAX_EARLY_BYTES, MAX_WAITING_HALVES
from rtsp_filter.rtsp import StatusCode

log = structlog.get_logger()


class TunnelHost(ConnectionHost, MeetingHost, Protocol):
    """The proxy that tunnels belong to."""


class Tunnels:
    """The tunnels of a proxy, whole and half."""

    def __init__(self, host: TunnelHost) -> None:
        self.host = host
        self.meetings = Meetings(host)
        self._whole: dict[TunnelKey, Tunnel] = {}
        self._waiting: dict[TunnelKey, _Waiting] = {}
        self._waiting_of: Counter[str] = Counter()

    def open(self, key: TunnelKey, half: Half, transport: asyncio.Transport, early: bytes) -> None:
        """A half has come, with `early` behind its head; it is counted already, and released when it is gone.

        Raises TunnelError for one that is refused; nothing has changed then.
        """
        tunnel, waiting = self._whole.get(key), self._waiting.get(key)
        if tunnel is not None and half is Half.REQUESTS:
            tunnel.take_requests(transport, early)
        elif tunnel is not None or (waiting is not None and waiting.half is half):
            raise TunnelError("another connection has this x-sessioncookie", status=StatusCode.FORBIDDEN)
        elif waiting is None:
            self._wait(key, half, transport, early)
        elif half is Half.ANSWERS:
            transport.write(ANSWERS_OPEN)
            self.meetings.offer(key)
            self._join(key, transport, waiting.leave(), waiting.early)
        else:
            self._join(key, waiting.leave(), transport, early)

    def _wait(self, key: TunnelKey, half: Half, transport: asyncio.Transport, early: bytes) -> None:
        if self._waiting_of[key.address] >= MAX_WAITING_HALVES:
            raise TunnelError(
                f"{MAX_WAITING_HALVES} halves of tunnels wait for their others already",
                status=StatusCode.SERVICE_UNAVAILABLE,
            )
        self._waiting[key] = waiting = _Waiting(self, key, half, transport)
        self._waiting_of[key.address] += 1
        if half is Half.ANSWERS:
            transport.write(ANSWERS_OPEN)
            self.meetings.offer(key)
        else:
            self.meetings.seek(key, waiting)
        waiting.data_received(early)

    def _join(self, key: TunnelKey, answers: asyncio.Transport, requests: asyncio.Transport, early: bytes) -> None:
        log.debug("a tunnel is open", client=key.address, tls=key.secure)
        self._whole[key] = tunnel = Tunnel(self, key, answers)
        tunnel.take_requests(requests, early)

    def forget_waiting(self, key: TunnelKey) -> None:
        """A half does not wait any more."""
        if self._waiting.pop(key).half is Half.REQUESTS:
            self.meetings.give_up(key)
        self._waiting_of[key.address] -= 1
        if not self._waiting_of[key.address]:
            del self._waiting_of[key.address]

    def forget(self, key: TunnelKey) -> None:
        """A tunnel is over."""
        del self._whole[key]
        self.meetings.withdraw(key)


class _Waiting(asyncio.Protocol):
    """A half whose other half has not come; `early` is what a POST brought meanwhile."""

    def __init__(self, tunnels: Tunnels, key: TunnelKey, half: Half, transport: asyncio.Transport) -> None:
        self.half = half
        self.early = b""
        self.waits = True
        self._tunnels = tunnels
        self._key = key
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(JOIN_TIMEOUT, self._alone)
        transport.set_protocol(self)

    def leave(self) -> asyncio.Transport:
        """Wait no more; the connection is the caller's from now on."""
        self.waits = False
        self._timer.cancel()
        self._tunnels.forget_waiting(self._key)
        return self._transport

    def data_received(self, data: bytes) -> None:
        if self.half is Half.REQUESTS:
            self.early += data
        if len(self.early) > MAX_EARLY_BYTES:
            log.info("a client's HTTP POST says too much before its GET has come", client=self._key.address)
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.leave()
        if self.half is Half.ANSWERS:
            self._tunnels.meetings.withdraw(self._key)
        self._tunnels.host.release(self._key.address)

    def _alone(self) -> None:
        log.info(
            f"a client's HTTP {self.half.value} got no other half within {JOIN_TIMEOUT:.0f} s, neither here nor from"
            " another RTSP proxy",
            client=self._key.address,
        )
        self._transport.abort()


class Tunnel(asyncio.Transport):
    """Both halves, as the transport of one `ClientConnection`; `take_requests` gives it its POST."""

    def __init__(self, tunnels: Tunnels, key: TunnelKey, answers: asyncio.Transport) -> None:
        super().__init__()
        self.key = key
        self.host = tunnels.host
        self.client = ClientConnection(tunnels.host, interleaved_only=True)
        self._tunnels = tunnels
        self._answers = answers
        self._requests: asyncio.Transport | None = None
        self._reads = True
        answers.set_protocol(_Answers(self))
        self.client.connection_made(self)

    def take_requests(self, transport: asyncio.Transport, early: bytes) -> None:
        """Requests come on this connection from now on; the one before has nothing to say any more."""
        if self._requests is not None:
            self._requests.close()
        self._requests = transport
        half = _Requests(self, transport)
        transport.set_protocol(half)
        half.data_received(early)
        if self._reads:
            self.resume_reading()
        else:
            self.pause_reading()

    def answers_lost(self, exc: Exception | None) -> None:
        """The GET has ended."""
        self._tunnels.forget(self.key)
        if self._requests is not None:
            self._requests.close()
        self.client.connection_lost(exc)

    def requests_lost(self, transport: asyncio.Transport) -> None:
        """A POST has ended; another may follow."""
        if self._requests is transport:
            self._requests = None
        self.host.release(self.key.address)

    # asyncio.Transport, as ClientConnection uses it

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._answers.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._answers.write(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._answers.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._answers.get_write_buffer_size()

    def pause_reading(self) -> None:
        self._reads = False
        if self._requests is not None and not self._requests.is_closing():
            self._requests.pause_reading()

    def resume_reading(self) -> None:
        self._reads = True
        if self._requests is not None and not self._requests.is_closing():
            self._requests.resume_reading()

    def is_closing(self) -> bool:
        return self._answers.is_closing()

    def close(self) -> None:
        self._answers.close()
        if self._requests is not None:
            self._requests.close()

    def abort(self) -> None:
        self._answers.abort()
        if self._requests is not None:
            self._requests.abort()


class _Answers(asyncio.Protocol):
    """The GET of a tunnel. What comes in is dropped: live555 sends RTCP there, as nobody else does."""

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel

    def pause_writing(self) -> None:
        self._tunnel.client.pause_writing()

    def resume_writing(self) -> None:
        self._tunnel.client.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tunnel.answers_lost(exc)


class _Requests(asyncio.Protocol):
    """A POST of a tunnel."""

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport) -> None:
        self._tunnel = tunnel
        self._transport = transport
        self._base64 = Base64Stream()

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        try:
            decoded = self._base64.decode(data)
        except TunnelError as error:
            log.info("a tunnel is closed", client=self._tunnel.key.address, error=str(error))
            self._tunnel.close()
        else:
            self._tunnel.client.data_received(decoded)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tunnel.requests_lost(self._transport)
