"""One stream that goes to a multicast group: a session at the camera that all readers of the group share.

To the camera, and to all that looks after sessions here, it is a session like any other, whose client is the group: its
relays lead there. Readers are sessions of their own, which hold nothing but their place here; what one of them asks
for reaches the camera only where all of them need it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from rtsp_filter.proxy.multicast.group_pool import GroupPool
from rtsp_filter.proxy.sessions import transport
from rtsp_filter.proxy.sessions.presentation import Presentation
from rtsp_filter.proxy.sessions.session import Session
from rtsp_filter.proxy.sessions.session_host import AbsentClient, Described, Host
from rtsp_filter.rtsp import (
    Headers,
    LowerTransport,
    Method,
    Request,
    Response,
    RTSPError,
    SDPError,
    State,
    StatusCode,
    TransportError,
    TransportSpec,
    parse_transports,
    respond,
)

if TYPE_CHECKING:
    from rtsp_filter.proxy.multicast.reader import Reader

# Of one reader's wishes those that would change what all of them get.
_OF_ONE_READER = ("Scale", "Speed")


class Feed:
    """The stream of `described`, sent to `group`. `ttl` is what readers are told; `on_over` hears of the end."""

    def __init__(
        self,
        host: Host,
        described: Described,
        group: str,
        *,
        pool: GroupPool,
        ttl: int,
        on_over: Callable[[Feed], None],
    ) -> None:
        self.group = group
        self.readers: set[Reader] = set()
        self._host = host
        self._pool = pool
        self._ttl = ttl
        self._on_over = on_over
        self._tracks: dict[int, TransportSpec] = {}  # what readers are told, by place in the description
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Response]] = set()
        client = GroupClient(group, described.upstream.local_address, self._over)
        self.session = host.new_session(replace(described, session=None), client, LowerTransport.UDP)
        self.session.stays = True  # here are the readers, whose sessions hold nothing that could be gone on with
        self.session.played = True  # whoever does not play loses his place here, and with the last one it ends

    @property
    def over(self) -> bool:
        """Whether nobody can join any more."""
        return self.session.ending is not None

    @property
    def used(self) -> bool:
        """Whether anything may have been sent to the group."""
        return bool(self._tracks)

    def sends(self, presentation: Presentation) -> bool:
        """Whether a reader may join who was described this: the same stream, be it another camera's."""
        try:
            self.session.source.presentation.taken_over(presentation)
        except SDPError:
            return False
        return not self.over

    async def set_up(self, request: Request, spec: TransportSpec, place: int) -> Response:
        """A reader's SETUP of one track. The answer has no Session header. Raises RTSPError."""
        if spec.destination not in (None, self.group):
            raise RTSPError(
                f"destination {spec.destination} is not for a client to choose", status=StatusCode.FORBIDDEN
            )

        async def with_track() -> Response:
            if place not in self._tracks:
                refused = await self._set_up(request, spec, place)
                if refused is not None:
                    return refused
            told = self._tracks[place]
            if told.profile != spec.profile:
                raise TransportError(f"this stream is sent to its group as {told.profile}")
            return respond(request, StatusCode.OK, [("Transport", replace(told, mode=spec.mode).encode())])

        return await self._in_turn(with_track)

    async def play(self, request: Request) -> Response:
        """A reader's PLAY: the first one starts the camera, with all tracks, since those who come later cannot have it
        stopped. The answer has no Session header. Raises RTSPError."""

        async def started() -> Response:
            if self.session.state is State.PLAYING:
                return respond(request, StatusCode.OK)
            await self._set_up_the_rest()
            response = await self.session.forward(_for_all(request, self.session.source.presentation.client_url))
            if response.status == StatusCode.OK:
                return respond(request, StatusCode.OK)
            response.headers.remove("Session")
            return response

        return await self._in_turn(started)

    async def ask(self, request: Request) -> Response:
        """What a reader asks the camera."""
        url = self.session.source.presentation.client_url
        return await self._in_turn(lambda: self.session.forward(_for_all(request, url)))

    def leave(self, reader: Reader) -> None:
        """A reader is over; with the last one the stream ends."""
        self.readers.discard(reader)
        if not self.readers:
            self._host.session_over(self.session, "its last reader has left")

    async def _set_up(self, request: Request, spec: TransportSpec, place: int) -> Response | None:
        """SETUP at the camera. Gives its answer where it refuses."""
        track = self.session.source.presentation.tracks[place]
        ports = self._pool.ports()
        response = await self.session.setup(
            request, TransportSpec(profile=spec.profile, client_port=ports), track.upstream_url, track.media
        )
        if response.status != StatusCode.OK:
            return response
        (told,) = parse_transports(response.headers.get("Transport") or "")
        self._tracks[place] = transport.answer_multicast(told, self.group, ports, self._ttl)
        return None

    async def _set_up_the_rest(self) -> None:
        """Tracks that nobody has asked for yet; what the camera refuses, later readers will not have either."""
        profiles = {told.profile for told in self._tracks.values()}
        spec = TransportSpec(profile=profiles.pop())
        for place, track in enumerate(self.session.source.presentation.tracks):
            if place not in self._tracks:
                request = Request(method=Method.SETUP, url=track.upstream_url, headers=Headers([("CSeq", "0")]))
                with contextlib.suppress(RTSPError):
                    await self._set_up(request, spec, place)

    async def _in_turn(self, work: Callable[[], Awaitable[Response]]) -> Response:
        """One after the other; and to its end, whatever becomes of the reader who asked for it."""

        async def run() -> Response:
            async with self._turn:
                self.session.check_alive()
                return await work()

        task = asyncio.create_task(run(), name=f"feed of {self.group}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    def _over(self, reason: str) -> None:
        """The session at the camera has ended."""
        self._on_over(self)
        for reader in list(self.readers):
            self._host.session_over(reader, reason)


class GroupClient(AbsentClient):
    """The client of a feed's session, in place of somebody's connection: nothing reaches it but through its relays."""

    def __init__(self, group: str, local_address: str, on_over: Callable[[str], None]) -> None:
        super().__init__(group, local_address)
        self._on_over = on_over

    def attach(self, session: Session) -> None:
        """The feed's own session."""
        self.sessions.add(session)

    def session_over(self, session: Session, reason: str, *, close: bool) -> None:
        """It has ended, and holds nothing any more."""
        self.sessions.discard(session)
        self._on_over(reason)


def _for_all(request: Request, url: str) -> Request:
    """A reader's request as one for the whole stream."""
    headers = request.headers.copy()
    for name in _OF_ONE_READER:
        headers.remove(name)
    return replace(request, url=url, headers=headers)
