"""What each request of a client means (RFC 2326 section 10): answered here, or carried to the camera.

One handler a connection: it remembers the streams that the connection has described and not yet set up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from rtsp_filter.proxy.cameras.attempts import RedirectedError, answer_again, connect, first_answer
from rtsp_filter.proxy.cameras.redirects import REDIRECTS
from rtsp_filter.proxy.cameras.upstream import UpstreamError
from rtsp_filter.proxy.clients.client_urls import client_url
from rtsp_filter.proxy.clients.gate import Admission, admit, routed
from rtsp_filter.proxy.limits import MAX_DESCRIBED, MAX_SESSIONS_PER_CONNECTION
from rtsp_filter.proxy.sessions import transport
from rtsp_filter.proxy.sessions.forwarding import client_response, request_headers
from rtsp_filter.proxy.sessions.presentation import Presentation, Track, announced, describe
from rtsp_filter.proxy.sessions.session import Session
from rtsp_filter.proxy.sessions.session_host import Client, Described, Host
from rtsp_filter.rtsp import (
    RTSPURL,
    Delivery,
    LowerTransport,
    Method,
    Request,
    Response,
    RTSPError,
    SDPError,
    SessionHeader,
    StateError,
    StatusCode,
    TransportSpec,
    UnauthorizedError,
    parse_transports,
    respond,
    unsupported,
)

log = structlog.get_logger()


class RequestHandler:
    """Answers the requests of one connection, one at a time."""

    def __init__(self, proxy: Host, client: Client) -> None:
        self._proxy = proxy
        self._client = client
        self._described: list[Described] = []
        self._challenged: Described | None = None
        self._admission: Admission
        self._found: Session | None = None
        self._methods: dict[str, Callable[[Request], Awaitable[Response]]] = {
            Method.OPTIONS: self._options,
            Method.DESCRIBE: self._describe,
            Method.ANNOUNCE: self._announce,
            Method.SETUP: self._setup,
            Method.PLAY: self._in_session,
            Method.RECORD: self._in_session,
            Method.PAUSE: self._in_session,
            Method.TEARDOWN: self._teardown,
            Method.GET_PARAMETER: self._parameter,
            Method.SET_PARAMETER: self._parameter,
        }

    async def handle(self, request: Request) -> Response:
        """The answer to a request. Raises RTSPError with the status to send."""
        missing = unsupported(request, answered_here=request.method == Method.OPTIONS)
        if missing:
            return respond(request, StatusCode.OPTION_NOT_SUPPORTED, [("Unsupported", ", ".join(missing))])
        method = self._methods.get(request.method)
        if method is None:
            raise RTSPError(f"{request.method} is not implemented", status=StatusCode.NOT_IMPLEMENTED)
        try:
            self._found = await self._find_session(request)
            self._admission = self._admit(request)
            response = await method(self._admission.passed)
        except RedirectedError as redirected:
            return redirected.answer(request)
        except UnauthorizedError as error:
            return await self._proxy.gatekeeper.refuse(request, error, self._client.address)
        if response.status == StatusCode.UNAUTHORIZED and self._admission.owner is not None:
            raise RTSPError(
                "the camera wants a password of its own, which the mesh has not", status=StatusCode.BAD_GATEWAY
            )
        return response

    def _admit(self, request: Request) -> Admission:
        session = self._found
        known = self._known(client_url(request)) if request.method == Method.SETUP and session is None else None
        return admit(self._proxy, request, self._client.address, session, known)

    def close(self) -> None:
        """Give up streams that were described and never set up."""
        for described in [*self._described, *([self._challenged] if self._challenged else [])]:
            if described.session is None:
                described.upstream.close()
        self._described.clear()
        self._challenged = None

    async def _options(self, request: Request) -> Response:
        headers = [("Public", ", ".join(self._methods))]
        session = self._named_session(request)
        return respond(request, StatusCode.OK, headers if session is None else [*headers, session.header])

    async def _describe(self, request: Request) -> Response:
        url = client_url(request)
        described, response = await self._begin(request, url)
        upstream_url = described.presentation.upstream_url
        try:
            if response.status != StatusCode.OK:
                return self._refused(request, described, response)
            described.presentation, body = describe(
                str(url), upstream_url, response.headers, response.body, self._client.local_address
            )
        except BaseException:
            described.upstream.close()
            raise
        self._remember(described)
        base = described.presentation.client_base
        return client_response(request, response, described.presentation, [("Content-Base", base)], body)

    async def _announce(self, request: Request) -> Response:
        """A client offers a stream of its own, to record it (RFC 2326, 10.3)."""
        url = client_url(request)
        described, response = await self._begin(request, url)
        if response.status != StatusCode.OK:
            return self._refused(request, described, response)
        self._remember(described)
        return client_response(request, response, described.presentation, [])

    async def _begin(self, request: Request, url: RTSPURL) -> tuple[Described, Response]:
        """What is answered to a DESCRIBE or ANNOUNCE, and by whom: the camera that asked for a password before, since
        the question is good there only; or one that the routes name."""

        async def ask(described: Described) -> Response:
            self._admission.check(described.decision)
            upstream_url, body = described.presentation.upstream_url, b""
            if request.method == Method.ANNOUNCE:
                described.presentation, body = _announced(str(url), upstream_url, request.body)
            headers = request_headers(request)
            return await described.upstream.request(request.method, upstream_url, headers=headers, body=body)

        challenged, self._challenged = self._challenged, None
        if challenged is not None:
            if challenged.presentation.client_url == str(url) and challenged.upstream.closed is None:
                return challenged, await answer_again(self._proxy, challenged, ask)
            challenged.upstream.close()
        return await first_answer(self._proxy, routed(self._admission.asked, self._client.address), str(url), ask)

    def _refused(self, request: Request, described: Described, response: Response) -> Response:
        """The camera's own refusal, and its question for a password, pass through."""
        log.info(
            "the camera refused",
            client=self._client.address,
            url=described.presentation.client_url,
            camera=described.presentation.upstream_url,
            status=response.status,
        )
        if response.status == StatusCode.UNAUTHORIZED and self._admission.owner is None:
            self._challenged = described
        else:
            described.upstream.close()
        return client_response(request, response, described.presentation, [])

    async def _setup(self, request: Request) -> Response:
        offered = parse_transports(request.headers.get("Transport") or "")
        session = self._named_session(request)
        url = client_url(request)
        if session is None:
            return await self._first_setup(request, url, offered)
        if session.client_address != self._client.address:
            raise RTSPError("this session's media goes to another address", status=StatusCode.FORBIDDEN)
        spec = session.acceptable(offered)
        upstream_url, media = _track(session.source.presentation, url)
        return await session.setup(request, spec, upstream_url, media)

    async def _first_setup(self, request: Request, url: RTSPURL, offered: tuple[TransportSpec, ...]) -> Response:
        """The SETUP that makes a session."""
        if len(self._client.sessions) >= MAX_SESSIONS_PER_CONNECTION:
            raise RTSPError(
                f"this connection has its {MAX_SESSIONS_PER_CONNECTION} sessions already",
                status=StatusCode.NOT_ENOUGH_BANDWIDTH,
            )
        described = await self._described_for(url)
        if described is not None:
            with self._proxy.endpoints.attempt(described.decision) as attempt:
                response = await self._set_up(described, request, url, offered)
                attempt.answered(response.status)
            if response.status in REDIRECTS:
                raise UpstreamError("the camera redirects a SETUP; ask for its description again")
            return response

        async def ask(described: Described) -> Response:
            return await self._set_up(described, request, url, offered)

        described, response = await first_answer(
            self._proxy, routed(self._admission.asked, self._client.address), str(url), ask
        )
        self._remember(described)
        return response

    async def _set_up(
        self, described: Described, request: Request, url: RTSPURL, offered: tuple[TransportSpec, ...]
    ) -> Response:
        """A session of one endpoint, if it lets itself be set up."""
        self._admission.check(described.decision)
        no_multicast = self._proxy.feeds.refusal(self._client)
        spec = transport.choose(offered, self._client.address, self._possible(), no_multicast=no_multicast)
        if spec.lower is LowerTransport.TCP and self._client.has_interleaved_session():
            raise RTSPError(
                "this connection already carries a session's media; use another", status=StatusCode.FORBIDDEN
            )
        upstream_url, media = _track(described.presentation, url)
        session = self._new_session(described, spec)
        described.session = session
        session.owner = self._admission.owner
        try:
            response = await session.setup(request, spec, upstream_url, media)
        except BaseException:
            ending = self._proxy.session_over(session, "it could not be set up", close_client=False)
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                await asyncio.shield(ending)  # another endpoint may be tried for the same client
            raise
        if response.status != StatusCode.OK:
            reason = f"the camera refused SETUP: {response.status} {response.reason}"
            await asyncio.shield(self._proxy.session_over(session, reason, close_client=False))
        return response

    def _new_session(self, described: Described, spec: TransportSpec) -> Session:
        """For the transport that was chosen."""
        if spec.delivery is Delivery.MULTICAST:
            return self._proxy.new_reader(described, self._client)
        return self._proxy.new_session(described, self._client, spec.lower)

    def _possible(self) -> frozenset[LowerTransport]:
        """How media may reach this client: over UDP only where it could arrive, and may."""
        addresses = self._proxy.relays.media_addresses
        arrives = not addresses or transport.reaches(addresses, self._client.address)
        if self._client.interleaved_only or not arrives:
            return frozenset({LowerTransport.TCP})
        return frozenset(LowerTransport)

    async def _in_session(self, request: Request) -> Response:
        session = self._session(request)
        response = await session.forward(request)
        if request.method == Method.PLAY and response.status == StatusCode.OK and not session.ended:
            self._proxy.mirrors.played(session.id, session.source)
        return response

    async def _teardown(self, request: Request) -> Response:
        return await self._session(request).teardown(request)

    async def _parameter(self, request: Request) -> Response:
        """Without a body it is a sign of life, for us; with one it is for the camera."""
        session = self._named_session(request)
        if not request.body:
            return respond(request, StatusCode.OK, [] if session is None else [session.header])
        if session is None:
            raise StateError(f"{request.method} with a body needs a session")
        return await session.forward(request)

    def _session(self, request: Request) -> Session:
        session = self._named_session(request)
        if session is None:
            raise RTSPError(f"{request.method} names no session", status=StatusCode.SESSION_NOT_FOUND)
        return session

    def _named_session(self, request: Request) -> Session | None:
        """The session that a request names, which is alive again by it; None where it names none."""
        if "Session" not in request.headers:
            return None
        session = self._found
        if session is None or session.ended:
            raise RTSPError("there is no such session (any more)", status=StatusCode.SESSION_NOT_FOUND)
        session.join(self._client)
        return session

    async def _find_session(self, request: Request) -> Session | None:
        """The session that a request names, from another proxy if need be."""
        value = request.headers.get("Session")
        if value is None:
            return None
        return await self._proxy.find_session(SessionHeader.parse(value).id, self._client.address)

    def _remember(self, described: Described) -> None:
        self._described.append(described)
        if len(self._described) > MAX_DESCRIBED:
            oldest = self._described.pop(0)
            if oldest.session is None:
                oldest.upstream.close()

    async def _described_for(self, url: RTSPURL) -> Described | None:
        """The stream that was described and that a first SETUP is about, with a connection of its own to the camera."""
        known = self._known(url)
        if known is None or (known.session is None and known.upstream.closed is None):
            return known
        fresh = await connect(self._proxy, known.decision, known.presentation)
        self._remember(fresh)
        return fresh

    def _known(self, url: RTSPURL) -> Described | None:
        """The stream that was described last of those that a URL is of."""
        matching = (
            known
            for known in reversed(self._described)
            if known.presentation.host == url.host and known.presentation.covers(str(url))
        )
        return next(matching, None)


def _announced(client_url: str, upstream_url: str, body: bytes) -> tuple[Presentation, bytes]:
    try:
        return announced(client_url, upstream_url, body)
    except SDPError as error:
        raise RTSPError(str(error), status=StatusCode.BAD_REQUEST) from error


def _track(presentation: Presentation, url: RTSPURL) -> tuple[str, str]:
    """The camera's URL and the medium of the track that a SETUP asks for."""
    track: Track | None = presentation.track(str(url))
    if track is not None:
        return track.upstream_url, track.media
    if not presentation.tracks or presentation.is_aggregate(str(url)):
        return presentation.upstream(str(url)), "unknown"
    raise RTSPError("this stream has no such track", status=StatusCode.NOT_FOUND)
