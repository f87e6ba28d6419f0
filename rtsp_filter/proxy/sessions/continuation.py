"""What another proxy needs to go on with a session, as the relay stream says it, and what it makes of that.

Only sessions over UDP on both legs can be gone on with: their media passes the media proxy and no process of ours.
Passwords are not told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from mesh.model import BackendTransport
from mesh.wire import relay_pb2
from rtsp_filter.proxy.cameras.upstream import Upstream
from rtsp_filter.proxy.clients.gate import Owner
from rtsp_filter.proxy.sessions.presentation import Presentation, Track
from rtsp_filter.proxy.sessions.session_host import Described
from rtsp_filter.proxy.sessions.way import Way
from rtsp_filter.routes.table import Decision
from rtsp_filter.routes.table import Upstream as Endpoint
from rtsp_filter.rtsp import RTSPError, SessionHeader, State, TransportSpec, parse_transports

STATES = {State.READY: relay_pb2.READY, State.PLAYING: relay_pb2.PLAYING, State.RECORDING: relay_pb2.RECORDING}
_READ_STATES = {told: state for state, told in STATES.items()}


def continuation_of(
    source: Described, ways: Mapping[str, Way], *, played: bool, owner: Owner | None
) -> relay_pb2.Continuation | None:
    """How to go on with a session; None where another proxy cannot. `ways` are by the camera's URL of the track."""
    tracks = [_way(url, way) for url, way in ways.items()]
    camera = source.upstream.core.session
    told = [track for track in tracks if track is not None]
    if camera is None or not told or len(told) < len(tracks):
        return None
    presentation, decision = source.presentation, source.decision
    return relay_pb2.Continuation(
        client_base=presentation.client_base,
        upstream_aggregate=presentation.upstream_aggregate,
        described=[
            relay_pb2.DescribedTrack(
                media=track.media,
                control=track.control,
                upstream_url=track.upstream_url,
                coding=track.coding,
                clock_rate=track.clock_rate,
            )
            for track in presentation.tracks
        ],
        ways=told,
        virtual_host=decision.virtual_host,
        match=decision.match,
        endpoint=_endpoint(decision.upstream),
        camera=_camera(source.upstream, camera),
        played=played,
        path=decision.path,
        query=decision.query,
        live=presentation.live,
        labels=json.dumps(dict(decision.labels)),
        users=decision.users,
        user=owner.name if owner is not None else "",
    )


def _way(upstream_url: str, way: Way) -> relay_pb2.TrackWay | None:
    resumable = way.resumable
    if resumable is None or way.relay_id is None:
        return None
    client, camera = resumable
    return relay_pb2.TrackWay(
        upstream_url=upstream_url,
        media=way.media,
        relay_id=way.relay_id,
        client_transport=client.encode(),
        camera_transport="" if camera is None else camera.encode(),
    )


def _endpoint(upstream: Endpoint) -> relay_pb2.ChosenEndpoint:
    return relay_pb2.ChosenEndpoint(
        name=upstream.name,
        address=upstream.address,
        port=upstream.port,
        base_path=upstream.base_path,
        path=upstream.path,
        transport=upstream.transport.value,
        credentials=upstream.credentials,
    )


def _camera(upstream: Upstream, session: SessionHeader) -> relay_pb2.CameraSession:
    return relay_pb2.CameraSession(
        id=session.id,
        timeout=session.timeout or 0,
        methods=sorted(upstream.core.public),
        version=upstream.core.version,
    )


def presentation_of(session: relay_pb2.Session) -> Presentation:
    """The stream as the session's client sees it."""
    told = session.continuation
    return Presentation(
        client_url=session.url,
        client_base=told.client_base,
        upstream_url=session.upstream_url,
        upstream_aggregate=told.upstream_aggregate,
        tracks=tuple(
            Track(
                media=each.media,
                control=each.control,
                upstream_url=each.upstream_url,
                coding=tuple(each.coding),
                clock_rate=each.clock_rate,
            )
            for each in told.described
        ),
        live=told.live,
    )


def decision_of(session: relay_pb2.Session) -> Decision:
    """Where the session was led, without what its route says of headers and patience."""
    told = session.continuation
    why = (f"Route {session.route} led there before: the session goes on at another RTSP proxy.",)
    return Decision(
        virtual_host=told.virtual_host,
        route=session.route,
        match=told.match,
        cluster=session.cluster,
        path=told.path,
        query=told.query,
        labels=frozenset(json.loads(told.labels).items()),
        users=told.users,
        upstream=Endpoint(
            name=told.endpoint.name,
            address=told.endpoint.address,
            port=told.endpoint.port,
            base_path=told.endpoint.base_path,
            path=told.endpoint.path,
            transport=BackendTransport(told.endpoint.transport),
            credentials=told.endpoint.credentials,
        ),
        _why=lambda: why,
    )


def camera_session_of(session: relay_pb2.Session) -> SessionHeader:
    """The session at the camera."""
    camera = session.continuation.camera
    return SessionHeader(id=camera.id, timeout=camera.timeout or None)


def state_of(session: relay_pb2.Session) -> State:
    """How far the session is."""
    return _READ_STATES[session.state]


def transports_of(way: relay_pb2.TrackWay) -> tuple[TransportSpec, TransportSpec | None]:
    """What the client offered for a track, and what the camera granted. Raises RTSPError."""
    offered, granted = parse_transports(way.client_transport), parse_transports(way.camera_transport)
    if not offered:
        raise RTSPError(f"not a transport: {way.client_transport!r}")
    return offered[0], granted[0] if granted else None
