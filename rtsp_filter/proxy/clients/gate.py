"""Who may have what: asks players and publishers of routes that are for some users only for their passwords.

The gate stands where a client's request is still as the client wrote it, since a password is proven over the URL that
its maker saw, and before anything is asked of a camera or of the balancing. Whoever cannot prove a password costs two
hashes, and after a wrong one waits.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from rtsp_filter.proxy.clients.client_urls import client_url, shown_url
from rtsp_filter.proxy.limits import WRONG_PASSWORD_SECONDS
from rtsp_filter.resources.users_reading import UserList
from rtsp_filter.routes.matching import has_dot_segments
from rtsp_filter.routes.table import Decision, RouteRequest
from rtsp_filter.rtsp import (
    Gate,
    Headers,
    Method,
    Nonces,
    Request,
    Response,
    RTSPError,
    StatusCode,
    UnauthorizedError,
    respond,
)
from rtsp_filter.rtsp.nonces import KEY_BYTES

if TYPE_CHECKING:
    from rtsp_filter.proxy.sessions.session import Session
    from rtsp_filter.proxy.sessions.session_host import Described, Host

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A user who has proven a password, and among whom."""

    users: UserList
    name: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A request that may pass. `asked` is the request as it came, `users` the name of those whom its route is for
    (empty: everybody), `owner` who of them sent it."""

    asked: Request
    users: str = ""
    owner: Owner | None = None

    @property
    def passed(self) -> Request:
        """The request without the proof that was for us: a camera could do nothing with it but try to break it."""
        if self.owner is None:
            return self.asked
        kept = [(name, value) for name, value in self.asked.headers.items() if name.lower() != "authorization"]
        return replace(self.asked, headers=Headers(kept))

    def check(self, decision: Decision) -> None:
        """That what is about to be asked is for those among whom the owner is: routes may have changed since. Raises
        RTSPError (503)."""
        if decision.users != self.users:
            raise RTSPError("the routes have just changed; ask again", status=StatusCode.SERVICE_UNAVAILABLE)


class Gatekeeper:
    """Asks for passwords, and counts wrong ones. One for all connections of a proxy, so that a player that comes back
    on another one is not asked again. `nonces` are its own unless others are given; `on_wrong` hears of every wrong
    password, with the name of the users whom it was for."""

    def __init__(self, nonces: Nonces | None = None, *, on_wrong: Callable[[str], None] = lambda _: None) -> None:
        self.wrong_passwords = 0
        self._on_wrong = on_wrong
        self._nonces = nonces or Nonces(secrets.token_bytes(KEY_BYTES))

    def owner(self, users: UserList, request: Request, client: str, now: float) -> Owner:
        """Who of `users` sends this request from the address `client`. Raises UnauthorizedError."""
        gate = Gate(realm=users.realm, users=users.secrets, nonces=self._nonces, digests=users.digests)
        try:
            return Owner(users=users, name=gate.user(request, client, now))
        except UnauthorizedError as error:
            if error.wrong:
                self.wrong_passwords += 1
                self._on_wrong(users.name)
            raise

    def check(self, owner: Owner, request: Request, client: str, now: float) -> None:
        """That a request is from the owner of the session that it names. Raises UnauthorizedError, or RTSPError (403)
        for another user."""
        if self.owner(owner.users, request, client, now).name != owner.name:
            raise RTSPError("this session is another user's", status=StatusCode.FORBIDDEN)

    async def refuse(self, request: Request, error: UnauthorizedError, client: str) -> Response:
        """The question for a password; after a wrong one it comes late, so that nobody guesses fast."""
        if error.wrong:
            log.warning(
                "a wrong password",
                client=client,
                method=request.method,
                url=shown_url(request.url),
                wrong_passwords=self.wrong_passwords,
            )
            await asyncio.sleep(WRONG_PASSWORD_SECONDS)
        return respond(request, StatusCode.UNAUTHORIZED, error.headers)


def admit(host: Host, request: Request, client: str, session: Session | None, described: Described | None) -> Admission:
    """Let a request of the address `client` in. `session` is the one that it names, `described` the stream that it sets
    up. Raises UnauthorizedError, or RTSPError where it may not pass whoever sends it.

    What a session begins with is for the users of its route, all that follows for the session's owner. OPTIONS without
    a session tells nothing of anybody, and is free.
    """
    now = asyncio.get_running_loop().time()
    if request.method in (Method.DESCRIBE, Method.ANNOUNCE) or (request.method == Method.SETUP and session is None):
        name = described.decision.users if described is not None else host.users_name(routed(request, client))
        owner = host.gatekeeper.owner(host.users(name), request, client, now) if name else None
        return Admission(asked=request, users=name, owner=owner)
    if session is None:
        return Admission(asked=request)
    if session.owner is not None:
        host.gatekeeper.check(session.owner, request, client, now)
    _check_reach(host, request, client, session)
    return Admission(asked=request, users=session.source.decision.users, owner=session.owner)


def routed(request: Request, client: str, method: str | None = None) -> RouteRequest:
    """A request of the address `client`, for routes to look at. Raises URLError."""
    return RouteRequest.of(client_url(request), method or request.method, request.headers, client)


def _check_reach(host: Host, request: Request, client: str, session: Session) -> None:
    """That a session is not used for what is for other users: one that was begun to play may be told to record, and
    one that was announced to play; without a description its requests may name any URL of its camera. Raises RTSPError
    (403)."""
    if request.method in (Method.OPTIONS, Method.TEARDOWN):
        return
    presentation, records = session.source.presentation, request.method == Method.RECORD
    if records or (request.method == Method.PLAY and presentation.announced):
        # Whatever URL the request has, it may come to mean the session's own.
        own = replace(request, url=presentation.client_url)
        _check_users(host, routed(own, client, Method.ANNOUNCE if records else Method.DESCRIBE), session)
    if not presentation.tracks and request.url != "*":
        _check_users(host, routed(request, client, Method.ANNOUNCE if records else Method.SETUP), session)


def _check_users(host: Host, asked: RouteRequest, session: Session) -> None:
    """That what is asked is for everybody, or for those whom the session is for. Raises RTSPError (403)."""
    if has_dot_segments(asked.plain_path) or host.users_name(asked) not in ("", session.source.decision.users):
        raise RTSPError("this session is not for that", status=StatusCode.FORBIDDEN)
