"""The request that a session begins with, asked of one endpoint after another until one answers.

Until the player has an answer nothing is promised to it, so an endpoint that fails may be replaced by another one of
its cluster, as often and as long as the route says.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from rtsp_filter.proxy.cameras.endpoints import Endpoints
from rtsp_filter.proxy.cameras.redirects import Ask, followed
from rtsp_filter.proxy.cameras.upstream import Upstream, UpstreamError
from rtsp_filter.proxy.sessions.presentation import Presentation
from rtsp_filter.proxy.sessions.session_host import Described
from rtsp_filter.resources.access import Access
from rtsp_filter.routes.patience import NoAnswer
from rtsp_filter.routes.table import Answer, Decision, NoRoute, NoRouteKind, Redirection, RouteRequest, Tried
from rtsp_filter.rtsp import RTSPURL, Request, Response, RTSPError, StatusCode, respond

_NO_ROUTE_STATUS = {
    NoRouteKind.NOT_FOUND: StatusCode.NOT_FOUND,
    NoRouteKind.NO_ENDPOINT: StatusCode.SERVICE_UNAVAILABLE,
}

log = structlog.get_logger()


class Router(Protocol):
    """Knows where requests lead, and hears how endpoints do."""

    endpoints: Endpoints

    def decide(self, request: RouteRequest) -> Answer:
        """Where a request leads. Raises RTSPError where that is not known yet."""


class RedirectedError(RTSPError):
    """The route sends the player elsewhere."""

    def __init__(self, redirection: Redirection) -> None:
        super().__init__(f"ask for {redirection.location}", status=redirection.status)
        self.redirection = redirection

    def answer(self, request: Request) -> Response:
        """What the player is told."""
        headers = self.redirection.headers.response([("Location", self.redirection.location)])
        return respond(request, self.redirection.status, headers)


async def first_answer(router: Router, request: RouteRequest, client_url: str, ask: Ask) -> tuple[Described, Response]:
    """The first answer to `request` that is not to be had better elsewhere, and the connection that it came by.

    Raises RTSPError: 404 or 503 for no route or no endpoint, 502 or 504 where none answers, RedirectedError.
    """
    decision = _decided(router, request)
    patience = decision.patience
    now = asyncio.get_running_loop().time
    deadline = now() + (patience.timeout or math.inf)
    tried: frozenset[str] = frozenset()
    while True:
        outcome = await _try(router, decision, client_url, ask, deadline - now())
        tried |= {decision.upstream.name}
        another = None
        if now() < deadline and patience.tries_again(outcome.result, len(tried)):
            another = router.decide(replace(request, tried=Tried(cluster=decision.cluster, endpoints=tried)))
        if not isinstance(another, Decision):
            return outcome.final()
        outcome.give_up(decision, client_url)
        decision = another


async def answer_again(router: Router, described: Described, ask: Ask) -> Response:
    """What an endpoint answers that has asked for a password before: nobody else is asked, since the question is good
    there only, and the route's patience is that of any try. Raises UpstreamError; the connection is closed then."""
    patience = described.decision.patience
    try:
        with router.endpoints.attempt(described.decision) as attempt:
            async with _within(min(patience.timeout or math.inf, patience.try_timeout or math.inf)):
                response = await ask(described)
            attempt.answered(response.status)
    except BaseException:
        described.upstream.close()
        raise
    return response


async def connect(router: Router, decision: Decision, presentation: Presentation) -> Described:
    """A connection to the endpoint of `decision`. Raises UpstreamError."""
    access = router.endpoints.access(decision)
    with router.endpoints.attempt(decision):
        described = await _connect(decision, presentation, access)
        described.upstream.counted_in(router.endpoints.tally(decision))
        return described


async def connect_anew(router: Router, decision: Decision, client_url: str) -> Described:
    """The same for an endpoint of whose stream nothing is known yet."""
    access = router.endpoints.access(decision)
    return await connect(router, decision, _undescribed(decision, client_url, access))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What came of one try: an answer, or an error."""

    result: NoAnswer | int
    described: Described | None = None
    response: Response | None = None
    error: UpstreamError | None = None

    def final(self) -> tuple[Described, Response]:
        """Raises UpstreamError where there is no answer."""
        if self.described is None or self.response is None:
            raise self.error or UpstreamError("the camera did not answer")
        return self.described, self.response

    def give_up(self, decision: Decision, client_url: str) -> None:
        """Another endpoint is asked."""
        if self.described is not None:
            _close(self.described)
        log.warning(
            "another endpoint is tried",
            url=client_url,
            route=decision.route,
            backend=decision.cluster,
            endpoint=decision.upstream.name,
            reason=str(self.error or f"the camera answered {self.result}"),
        )


async def _try(router: Router, decision: Decision, client_url: str, ask: Ask, seconds: float) -> _Outcome:
    """Ask one endpoint, for so many seconds at most."""
    described: Described | None = None
    access = router.endpoints.access(decision)
    try:
        with router.endpoints.attempt(decision) as attempt:
            async with _within(min(seconds, decision.patience.try_timeout or math.inf)):
                described = await _connect(decision, _undescribed(decision, client_url, access), access)
                described.upstream.counted_in(router.endpoints.tally(decision))
                described, response = await followed(described, await ask(described), ask)
            attempt.answered(response.status)
    except BaseException as error:
        if described is not None:
            _close(described)
        if not isinstance(error, UpstreamError):
            raise
        return _Outcome(result=NoAnswer.UNREACHABLE if described is None else NoAnswer.SILENT, error=error)
    return _Outcome(result=int(response.status), described=described, response=response)


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Raises UpstreamError when time is up."""
    limit = asyncio.timeout(None if seconds == math.inf else seconds)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        message = f"the camera did not answer within {max(seconds, 0):.3g} s"
        raise UpstreamError(message, status=StatusCode.GATEWAY_TIME_OUT) from None


def _decided(router: Router, request: RouteRequest) -> Decision:
    answer = router.decide(request)
    if isinstance(answer, NoRoute):
        raise RTSPError(answer.message, status=_NO_ROUTE_STATUS[answer.kind])
    if isinstance(answer, Redirection):
        raise RedirectedError(answer)
    return answer


async def _connect(decision: Decision, presentation: Presentation, access: Access) -> Described:
    at = RTSPURL.parse(presentation.upstream_url)  # a redirect may have led to another port
    access = access.led_to(at, decision.upstream.port)
    upstream = await Upstream.connect(at.host, at.effective_port, decision.headers, access, at.target or "/")
    return Described(presentation=presentation, decision=decision, upstream=upstream)


def _close(described: Described) -> None:
    """Give up a connection, unless it is a session's, which ends in order."""
    if described.session is None:
        described.upstream.close()


def _undescribed(decision: Decision, client_url: str, access: Access) -> Presentation:
    """The stream before anybody has asked the camera about it."""
    target = decision.upstream
    host = f"[{target.address}]" if ":" in target.address else target.address
    return Presentation.undescribed(client_url, f"{access.scheme}://{host}:{target.port}{target.path}")
