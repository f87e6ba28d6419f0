"""What sessions need of those around them: the client's connection, the proxy, and the stream that they are about."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rtsp_filter.proxy.cameras.endpoints import Endpoints
from rtsp_filter.proxy.cameras.upstream import Upstream, UpstreamError
from rtsp_filter.proxy.limits import TEARDOWN_TIMEOUT
from rtsp_filter.proxy.multicast.group_end import CameraGroups
from rtsp_filter.proxy.sessions.presentation import Presentation
from rtsp_filter.proxy.sessions.receiver_ports import ReceiverPorts
from rtsp_filter.relays import RelayClient
from rtsp_filter.resources.users_reading import UserList
from rtsp_filter.routes.table import Answer, Decision, RouteRequest
from rtsp_filter.rtsp import InterleavedChunk, LowerTransport, Method, Payload, Request, Response, RTSPError, StatusCode

if TYPE_CHECKING:
    from rtsp_filter.proxy.clients.gate import Gatekeeper
    from rtsp_filter.proxy.multicast.feeds import Feeds
    from rtsp_filter.proxy.sessions.session import Session
    from rtsp_filter.proxy.shadows.mirrors import Mirrors

# Answers to TEARDOWN that mean that the camera sends no more.
_STOPPED = (StatusCode.OK, StatusCode.SESSION_NOT_FOUND)


class Client(Protocol):
    """A client's connection, as sessions and requests need it. Addresses are IP addresses. `interleaved_only`: no media
    may reach the client beside this connection, which is encrypted, or all that gets through to it."""

    address: str
    local_address: str
    interleaved_only: bool
    sessions: set[Session]

    def write_media(self, chunk: InterleavedChunk) -> None:
        """Pass interleaved frames on."""

    def write_frames(self, channel: int, payloads: Sequence[Payload]) -> None:
        """Send an interleaved frame of each payload, or drop them whole where too much waits already."""

    def translate_channels(self, table: bytes | None) -> None:
        """Number the channels of the client's frames as its camera does."""

    def camera_takes(self, takes: bool) -> None:
        """Whether the camera takes what this client sends."""

    @property
    def speaks_version2(self) -> bool:
        """Whether it speaks RTSP 2.0."""

    async def ask(self, request: Request) -> Response:
        """The client's answer to a request. Raises RTSPError when there is none."""

    def attach(self, session: Session) -> None:
        """Speak for `session` too."""

    def session_over(self, session: Session, reason: str, *, close: bool) -> None:
        """A session is over; close the connection if that is to be and no other session needs it."""

    def has_interleaved_session(self) -> bool:
        """Whether a session's media already runs on this connection."""


class AbsentClient:
    """A client that media reaches over UDP and that has no connection here, such as that of a session that came from
    another proxy."""

    interleaved_only = False
    speaks_version2 = False

    def __init__(self, address: str, local_address: str = "") -> None:
        self.address = address
        self.local_address = local_address
        self.sessions: set[Session] = set()

    async def ask(self, request: Request) -> Response:
        """There is nobody to ask."""
        raise RTSPError("the client has no connection", status=StatusCode.NOT_IMPLEMENTED)

    def write_media(self, chunk: InterleavedChunk) -> None:
        """Nothing is interleaved."""

    def write_frames(self, channel: int, payloads: Sequence[Payload]) -> None:
        """Nothing is interleaved."""

    def translate_channels(self, table: bytes | None) -> None:
        """Nothing is interleaved."""

    def camera_takes(self, takes: bool) -> None:
        """Nothing is interleaved."""

    def attach(self, session: Session) -> None:
        """It speaks for nothing."""

    def session_over(self, session: Session, reason: str, *, close: bool) -> None:
        """There is no connection to close."""

    def has_interleaved_session(self) -> bool:
        """Nothing is interleaved."""
        return False


class Host(Protocol):
    """The proxy that sessions live in. `session_timeout` is in seconds."""

    relays: RelayClient
    endpoints: Endpoints
    mirrors: Mirrors
    sessions: dict[str, Session]
    session_timeout: int
    receiver_ports: ReceiverPorts
    feeds: Feeds
    camera_groups: CameraGroups
    gatekeeper: Gatekeeper

    def decide(self, request: RouteRequest) -> Answer:
        """Where a request leads."""

    def users_name(self, request: RouteRequest) -> str:
        """The name of those whom the route of a request is for; empty: everybody. Raises RTSPError (403) for a path
        that means another's when it is spelt plainly."""

    def users(self, name: str) -> UserList:
        """The users of that name. Raises RTSPError with 503 where they are not known."""

    async def find_session(self, session_id: str, client_address: str) -> Session | None:
        """The session of this id, if there is one, here or at another proxy."""

    def new_session(self, described: Described, client: Client, lower: LowerTransport) -> Session:
        """A session that is about to be set up. Raises RTSPError when there are too many."""

    def new_reader(self, described: Described, client: Client) -> Session:
        """A session that takes part in a multicast group. Raises RTSPError when there are too many, or no group."""

    def leave(self, described: Described) -> None:
        """Say farewell to a camera that is not needed any more, whatever becomes of the caller."""

    def keep(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Have work done, which ends with the proxy."""

    def session_resumed(self, session: Session) -> None:
        """A connection speaks for the session (again)."""

    def session_over(self, session: Session, reason: str, *, close_client: bool = True) -> asyncio.Task[None]:
        """End the session, whatever becomes of the caller."""

    def session_ended(self, session: Session) -> None:
        """The session has ended and holds nothing any more."""


@dataclass(slots=True, kw_only=True)
class Described:
    """A stream that a connection has asked about: how it is shown, where it leads, and the open connection there."""

    presentation: Presentation
    decision: Decision
    upstream: Upstream
    session: Session | None = None

    async def stop(self, headers: Iterable[tuple[str, str]] = ()) -> bool:
        """TEARDOWN; whether the camera has confirmed that it sends no more, or never was asked to. Takes
        TEARDOWN_TIMEOUT at most."""
        if self.upstream.core.session is None:
            return True
        with contextlib.suppress(UpstreamError, TimeoutError):
            async with asyncio.timeout(TEARDOWN_TIMEOUT):
                answer = await self.upstream.request(
                    Method.TEARDOWN, self.presentation.upstream_aggregate, headers=headers
                )
            return answer.status in _STOPPED
        return False
