"""SETUP of one track at the camera, by one transport after the other; what the client was granted stays as it is."""

from __future__ import annotations

from typing import Protocol

import structlog

from mesh.model import BackendTransport
from rtsp_filter.proxy.cameras.upstream import UpstreamError
from rtsp_filter.proxy.sessions import transport
from rtsp_filter.proxy.sessions.forwarding import request_headers
from rtsp_filter.proxy.sessions.media import SessionMedia
from rtsp_filter.proxy.sessions.session_host import Described
from rtsp_filter.proxy.sessions.transport import CameraLeg
from rtsp_filter.proxy.sessions.way import Legs, Way
from rtsp_filter.proxy.sessions.ways import make_way
from rtsp_filter.rtsp import (
    LowerTransport,
    Method,
    Request,
    Response,
    StatusCode,
    TransportError,
    TransportSpec,
    parse_transports,
)

_CAMERA_LEGS = {
    BackendTransport.UDP: CameraLeg.UDP,
    BackendTransport.TCP: CameraLeg.TCP,
    BackendTransport.MULTICAST: CameraLeg.MULTICAST,
}

log = structlog.get_logger()


class TrackSession(Protocol):
    """The session of a track, as its set-up needs it."""

    source: Described
    media: SessionMedia

    @property
    def identity(self) -> dict[str, str]:
        """What a log line says of the session."""

    def check_alive(self) -> None:
        """Raises RTSPError when the session has ended meanwhile."""

    def broken(self) -> None:
        """The camera may have a track that this side does not."""


async def set_up_track(
    session: TrackSession, request: Request, spec: TransportSpec, upstream_url: str, medium: str
) -> tuple[Response, TransportSpec | None]:
    """The camera's answer, and what to tell the client of its transport where it was granted. Raises RTSPError; once
    the camera may have the track, the session is broken with that."""
    legs = _camera_legs(session, spec)
    for place, leg in enumerate(legs):
        way = make_way(_legs(session, upstream_url), spec, leg, medium)
        wanted = await _prepared(session, way)
        try:
            response = await _ask(session, request, wanted, upstream_url)
            if response.status != StatusCode.OK:
                session.media.drop(way)
                if response.status == StatusCode.UNSUPPORTED_TRANSPORT and place + 1 < len(legs):
                    log.info("the camera refused the transport", **session.identity, refused=leg.value)
                    continue
                return response, None
            way = await _as_granted(session, way, response, spec, leg, upstream_url)
            answer = way.finish()
            session.check_alive()
        except BaseException:
            way.close()
            session.broken()
            raise
        session.media.use(upstream_url, way)
        log.debug("track set up", **session.identity, media=medium, asked=wanted.encode())
        return response, answer
    raise AssertionError("there is always a transport to try")


async def _prepared(session: TrackSession, way: Way) -> TransportSpec:
    """What to ask of the camera for a way."""
    try:
        wanted = await way.prepare()
        session.check_alive()
    except BaseException:
        session.media.drop(way)  # the camera was not asked
        raise
    return wanted


def _legs(session: TrackSession, upstream_url: str) -> Legs:
    return session.media.legs(session.source.presentation.clock_rate(upstream_url))


async def _ask(session: TrackSession, request: Request, wanted: TransportSpec, upstream_url: str) -> Response:
    headers = [*request_headers(request), ("Transport", wanted.encode())]
    return await session.source.upstream.request(Method.SETUP, upstream_url, headers=headers)


async def _as_granted(
    session: TrackSession,
    way: Way,
    response: Response,
    spec: TransportSpec,
    asked: CameraLeg,
    upstream_url: str,
) -> Way:
    """The way that fits what the camera granted: TCP or a group is taken, where something else was asked for."""
    specs = parse_transports(response.headers.get("Transport") or "")
    granted = specs[0] if specs else None
    leg = asked if granted is None else CameraLeg.of(granted)
    if granted is not None and leg is not asked:
        usable = leg is CameraLeg.MULTICAST or (leg is CameraLeg.TCP and granted.interleaved is not None)
        if leg not in _camera_legs(session, spec) or not usable:
            raise UpstreamError(f"the camera granted {leg.value} where {asked.value} was asked for")
        session.media.drop(way)
        way = make_way(_legs(session, upstream_url), spec, leg, way.media)
        await _prepared(session, way)
    way.granted(granted)
    return way


def _camera_legs(session: TrackSession, spec: TransportSpec) -> list[CameraLeg]:
    """How the camera may send, the best first: as its first track does; as the backend says; as the client gets it,
    and by multicast, through this process, where nothing else is to be had."""
    media, source = session.media, session.source
    if media.camera is not None:
        return [media.camera]
    if source.upstream.access.interleaved_only:
        return [CameraLeg.TCP]
    known = _CAMERA_LEGS.get(source.decision.upstream.transport)
    if known is CameraLeg.MULTICAST and spec.records:
        raise TransportError("a group takes no recording, and the backend allows nothing else (transport: multicast)")
    if known is not None:
        return [known]
    addresses = media.relays.media_addresses
    legs = [CameraLeg.UDP, CameraLeg.TCP] if media.lower is LowerTransport.UDP else [CameraLeg.TCP, CameraLeg.UDP]
    if addresses and not transport.reaches(addresses, source.upstream.peer_address):
        legs.remove(CameraLeg.UDP)
    return legs if spec.records else [*legs, CameraLeg.MULTICAST]
