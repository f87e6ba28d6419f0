"""Requests that go to a client: what its camera asks, on its way through, and the client's answers.

RFC 2326, section 10: ANNOUNCE tells of a stream that has changed, SET_PARAMETER and GET_PARAMETER may have a body for
the player; RFC 7826, section 13.5: PLAY_NOTIFY. What this proxy can answer for the player never gets here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from rtsp_filter.proxy.limits import ANSWER_TIMEOUT, MAX_QUESTIONS_TO_CLIENT
from rtsp_filter.proxy.sessions.forwarding import hidden_body, request_headers
from rtsp_filter.proxy.sessions.presentation import Presentation, describe
from rtsp_filter.proxy.sessions.session_host import Client
from rtsp_filter.rtsp import (
    PLAY_NOTIFY,
    Headers,
    Method,
    Request,
    Response,
    RTSPError,
    SDPError,
    StatusCode,
    respond,
)

_CAMERA_ONLY = frozenset({"user-agent", "server", "date"})
# Of an answer, what belongs to its body; the rest is about this proxy's connection with the client.
_CONTENT = frozenset({"content-type", "content-encoding", "content-language"})


class Questions:
    """What one client has been asked and has not answered yet. `send` writes a request."""

    def __init__(self, send: Callable[[Request], None]) -> None:
        self._send = send
        self._cseq = 0
        self._waiting: dict[int, asyncio.Future[Response]] = {}

    async def ask(self, request: Request) -> Response:
        """The client's answer. Raises RTSPError when there are too many questions, or none comes in ANSWER_TIMEOUT."""
        if len(self._waiting) >= MAX_QUESTIONS_TO_CLIENT:
            raise RTSPError(
                f"the client has not answered {MAX_QUESTIONS_TO_CLIENT} requests", status=StatusCode.SERVICE_UNAVAILABLE
            )
        self._cseq += 1
        cseq = self._cseq
        headers = Headers([("CSeq", str(cseq)), *request.headers.items()])
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting[cseq] = future
        try:
            self._send(replace(request, headers=headers))
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return await future
        except TimeoutError:
            raise RTSPError("the client does not answer", status=StatusCode.GATEWAY_TIME_OUT) from None
        finally:
            del self._waiting[cseq]

    def answered(self, response: Response) -> None:
        """The client has answered; an answer that nobody waits for is nothing."""
        future = self._waiting.get(response.cseq or 0)
        if future is not None and not future.done():
            future.set_result(response)


async def answer_of(client: Client | None, request: Request, presentation: Presentation, session_id: str) -> Response:
    """What a camera is told that asks the client of a session, which may have no connection."""
    if request.method == PLAY_NOTIFY and (client is None or not client.speaks_version2):
        return respond(request, StatusCode.OK)  # RTSP 1.0 has no such thing, and needs none
    if client is None:
        return respond(request, StatusCode.NOT_IMPLEMENTED)
    try:
        shown = client_request(request, presentation, session_id, client.local_address)
        return camera_response(request, await client.ask(shown))
    except RTSPError as error:
        return respond(request, error.status)


def client_request(request: Request, presentation: Presentation, session_id: str, local_address: str) -> Request:
    """A camera's request as the client gets it. Raises RTSPError for a stream that cannot be described."""
    headers = Headers([("Session", session_id)])
    for name, value in request_headers(request):
        if name.lower() not in _CAMERA_ONLY:
            headers.add(name, presentation.hide(value))
    announces = request.method == Method.ANNOUNCE
    body = _described(request, presentation, local_address) if announces else hidden_body(request.body, presentation)
    return Request(method=request.method, url=presentation.client(request.url), headers=headers, body=body)


def camera_response(request: Request, response: Response) -> Response:
    """The client's answer as the camera gets it."""
    headers = Headers((name, value) for name, value in response.headers.items() if name.lower() in _CONTENT)
    headers.set("CSeq", str(request.cseq))
    return Response(status=response.status, reason=response.reason, headers=headers, body=response.body)


def _described(request: Request, presentation: Presentation, local_address: str) -> bytes:
    """The new description, as a DESCRIBE would be answered."""
    try:
        _, body = describe(
            presentation.client_url, presentation.upstream_url, request.headers, request.body, local_address
        )
    except SDPError as error:
        raise RTSPError(str(error), status=StatusCode.BAD_REQUEST) from error
    return body
