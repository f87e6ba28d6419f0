"""RTSP over HTTP towards a camera: two connections that are, to whoever speaks RTSP, one transport.

What the camera says comes in on the GET; what it is told goes out on the POST, in base64. All ends with either.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, cast

from rtsp_filter.proxy.cameras.tunnel_client import question, read_answer
from rtsp_filter.proxy.clients.tunnel import Half, TunnelError
from rtsp_filter.proxy.limits import MAX_EARLY_BYTES
from rtsp_filter.rtsp import Credentials, StatusCode
from rtsp_filter.rtsp.auth import Authenticator

_OK = 200
_COOKIE_BYTES = 11

Dial = Callable[[asyncio.Protocol], Awaitable[object]]
"""Connects a protocol to the camera, by TLS where that is to be. Raises OSError."""


async def open_tunnel(
    dial: Dial, user: asyncio.Protocol, *, server: str, path: str, credentials: Credentials | None
) -> None:
    """Have `user` connected by a tunnel. `server` is host:port, `path` what is asked for there. Raises OSError,
    TunnelError; no connection is left open then."""
    authenticator = None if credentials is None else Authenticator(credentials)
    cookie = secrets.token_urlsafe(_COOKIE_BYTES)

    def asked(half: Half) -> bytes:
        authorization = None if authenticator is None else authenticator.authorization(half.value, path)
        return question(half, path, server, cookie, authorization)

    answers = await _answered(dial, asked(Half.ANSWERS))
    if answers.status == StatusCode.UNAUTHORIZED and authenticator is not None:
        answers.abort()
        authenticator.learn(answers.challenges)
        answers = await _answered(dial, asked(Half.ANSWERS))
    requests = _Requests()
    try:
        if answers.status != _OK:
            raise TunnelError(f"it refuses RTSP over HTTP: {answers.status} {answers.reason}".rstrip())
        await dial(requests)
    except BaseException:
        answers.abort()
        raise
    requests.write(asked(Half.REQUESTS))
    if answers.transport.is_closing():
        requests.abort()
        raise ConnectionResetError("it closed the connection of its GET")
    CameraTunnel(user, answers, requests)


async def _answered(dial: Dial, head: bytes) -> _Answers:
    """A GET that has been answered, whatever the answer. Raises OSError, TunnelError."""
    answers = _Answers()
    await dial(answers)
    try:
        answers.transport.write(head)
        await answers.answered
    except BaseException:
        answers.abort()
        raise
    return answers


class _Half(asyncio.Protocol):
    """One connection of a tunnel; `tunnel` is None until both are there."""

    transport: asyncio.Transport
    tunnel: CameraTunnel | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def abort(self) -> None:
        self.transport.abort()


class _Answers(_Half):
    """The GET: an answer of HTTP, and then what the camera says. What comes before anybody listens waits in `early`."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.status = 0
        self.reason = ""
        self.challenges: tuple[str, ...] = ()
        self.early = b""

    def data_received(self, data: bytes) -> None:
        if self.tunnel is not None:
            self.tunnel.user.data_received(data)
            return
        self.early += data
        if not self.answered.done():
            self._read_answer()
        if len(self.early) > MAX_EARLY_BYTES:
            self.transport.abort()

    def _read_answer(self) -> None:
        try:
            answer = read_answer(self.early)
        except TunnelError as error:
            self.answered.set_exception(error)
            return
        if answer is None:
            return
        self.status, self.reason, self.challenges = answer.status, answer.reason, answer.challenges
        self.early = self.early[answer.size :]
        self.answered.set_result(None)

    def abort(self) -> None:
        self.answered.cancel()  # nobody waits for it any more
        super().abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answered.done():
            self.answered.set_exception(exc or ConnectionResetError("it closed the connection of its GET"))
        if self.tunnel is not None:
            self.tunnel.lost(exc)


class _Requests(_Half):
    """The POST. What the camera says there is nothing, or that it is no tunnel: then it closes it."""

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_writing(self) -> None:
        if self.tunnel is not None:
            self.tunnel.user.pause_writing()

    def resume_writing(self) -> None:
        if self.tunnel is not None:
            self.tunnel.user.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.tunnel is not None:
            self.tunnel.lost(exc)


class CameraTunnel(asyncio.Transport):
    """Both halves, as the transport of `user`, who is told of it at once."""

    def __init__(self, user: asyncio.Protocol, answers: _Answers, requests: _Requests) -> None:
        super().__init__()
        self.user = user
        self._answers = answers
        self._requests = requests
        self._lost = False
        answers.tunnel = requests.tunnel = self
        user.connection_made(self)
        if answers.early:
            user.data_received(answers.early)

    def lost(self, exc: Exception | None) -> None:
        """A half is gone, and so the other one goes."""
        if not self._lost:
            self._lost = True
            self.abort()
            self.user.connection_lost(exc)

    # asyncio.Transport, as Upstream uses it

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._answers.transport.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._requests.write(base64.b64encode(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._requests.transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._requests.transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        return self._answers.transport.is_closing()

    def abort(self) -> None:
        self._answers.abort()
        self._requests.abort()
