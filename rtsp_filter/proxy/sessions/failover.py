"""A camera fails in mid-play, and another endpoint of its backend takes over.

The client keeps what it was promised: its session, its transport, its ports and channels. Media that passes this
process goes on as if it were of one source; what flows through the media proxy alone has the new camera's own SSRC.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from rtsp_filter.proxy.cameras.attempts import connect_anew
from rtsp_filter.proxy.cameras.upstream import UpstreamError
from rtsp_filter.proxy.limits import MOVE_TIMEOUT
from rtsp_filter.proxy.sessions.media import SessionMedia
from rtsp_filter.proxy.sessions.presentation import Presentation, describe
from rtsp_filter.proxy.sessions.session_host import Described, Host
from rtsp_filter.proxy.sessions.way import Way
from rtsp_filter.routes.table import Decision
from rtsp_filter.rtsp import Method, Response, RTSPError, StatusCode, parse_transports

log = structlog.get_logger()


class MovingSession(Protocol):
    """A session that loses its camera."""

    host: Host
    source: Described
    media: SessionMedia

    @property
    def identity(self) -> dict[str, str]:
        """What a log line says of the session."""


async def take_over(session: MovingSession, *, again: bool) -> Described:
    """Another camera that sends what the one of before sent: it plays already. `again`: the one of before is asked
    first, since some cameras end their sessions with the connection, and that was another proxy's. Raises RTSPError
    where there is none within MOVE_TIMEOUT."""
    try:
        async with asyncio.timeout(MOVE_TIMEOUT):
            return await _first_that_plays(session, again=again)
    except TimeoutError:
        raise UpstreamError(f"no other endpoint took over within {MOVE_TIMEOUT:.0f} s") from None


async def _first_that_plays(session: MovingSession, *, again: bool) -> Described:
    before = session.source
    tracks = [session.media.ways.get(track.upstream_url) for track in before.presentation.tracks]
    if len([way for way in tracks if way is not None]) < len(session.media.ways):
        raise UpstreamError("another endpoint may not have what was set up and never described")
    tried = [before.decision.upstream.name]
    while True:
        await session.media.vacate()
        decision = before.decision if again else _another(session, tried)
        again = False
        tried.append(decision.upstream.name)
        try:
            return await _played_by(session, decision, tracks)
        except UpstreamError as error:
            log.warning(
                "an endpoint does not take over", **session.identity, other=decision.upstream.name, why=str(error)
            )


def _another(session: MovingSession, tried: Sequence[str]) -> Decision:
    endpoints, decision = session.host.endpoints, session.source.decision
    if not endpoints.moves_sessions(decision):
        raise UpstreamError("sessions of its backend stay with their endpoint")
    found = endpoints.another(decision, tried)
    if isinstance(found, str):
        raise UpstreamError(found)
    return found


async def _played_by(session: MovingSession, decision: Decision, tracks: Sequence[Way | None]) -> Described:
    """The stream at another endpoint, playing: those of its tracks that have a way. Raises UpstreamError, and leaves
    nothing behind."""
    source = await connect_anew(session.host, decision, session.source.presentation.client_url)
    try:
        with session.host.endpoints.attempt(decision) as attempt:
            source.presentation = await _same_stream(session, source)
            ways = await _set_up(source, tracks)
            await session.media.take_over(source.upstream, ways)
            await _granted(source, Method.PLAY, source.presentation.upstream_aggregate)
            attempt.answered(StatusCode.OK)
    except BaseException as error:
        session.host.leave(source)
        if isinstance(error, RTSPError) and not isinstance(error, UpstreamError):
            raise UpstreamError(str(error)) from error
        raise
    return source


async def _same_stream(session: MovingSession, source: Described) -> Presentation:
    """The client's presentation, with the other camera's URLs."""
    before, asked = session.source.presentation, source.presentation
    response = await _granted(source, Method.DESCRIBE, asked.upstream_url, ("Accept", "application/sdp"))
    found, _ = describe(
        before.client_url, asked.upstream_url, response.headers, response.body, source.upstream.local_address
    )
    return before.taken_over(found)


async def _set_up(source: Described, tracks: Sequence[Way | None]) -> dict[str, Way]:
    """The ways of all tracks that the client has, by the other camera's URLs."""
    found = zip(source.presentation.tracks, tracks, strict=True)
    ways = {track.upstream_url: way for track, way in found if way is not None}
    for url, way in ways.items():
        wanted = way.ask_another(source.upstream)
        response = await _granted(source, Method.SETUP, url, ("Transport", wanted.encode()))
        specs = parse_transports(response.headers.get("Transport") or "")
        if specs and specs[0].lower is not wanted.lower:
            raise UpstreamError(f"it granted {specs[0].lower.value} where {wanted.lower.value} was asked for")
        way.granted(specs[0] if specs else None)
    return ways


async def _granted(source: Described, method: Method, url: str, *headers: tuple[str, str]) -> Response:
    response = await source.upstream.request(method, url, headers=headers)
    if response.status != StatusCode.OK:
        raise UpstreamError(f"it answered {method} with {response.status} {response.reason}")
    return response
