"""A reader's session: its place at a feed. What it asks for is its own affair as far as that can be.

It has no camera of its own, and no media that this process would see; otherwise it lives and ends as any session does.
"""

from __future__ import annotations

from dataclasses import replace

from mesh.wire import relay_pb2
from rtsp_filter.proxy.cameras.upstream import Upstream
from rtsp_filter.proxy.multicast.feed import Feed
from rtsp_filter.proxy.sessions.session import Session
from rtsp_filter.proxy.sessions.session_host import Client, Described, Host
from rtsp_filter.proxy.sessions.transport import choose
from rtsp_filter.rtsp import (
    LowerTransport,
    Method,
    Request,
    Response,
    RTSPError,
    StatusCode,
    TransportSpec,
    next_state,
    respond,
)


class Reader(Session):
    """One reader of `feed`. `described` is the stream as this client has been shown it."""

    def __init__(self, host: Host, described: Described, client: Client, feed: Feed) -> None:
        nobody = Upstream()
        nobody.close()
        super().__init__(host, replace(described, upstream=nobody), client, LowerTransport.UDP)
        self.feed = feed
        self._media: dict[str, str] = {}
        feed.readers.add(self)

    @property
    def transport(self) -> relay_pb2.SessionTransport:
        return relay_pb2.MULTICAST

    @property
    def tracks(self) -> list[str]:
        return list(self._media.values())

    def acceptable(self, offered: tuple[TransportSpec, ...]) -> TransportSpec:
        return choose(offered, self.client_address, frozenset(), no_multicast="")

    async def setup(self, request: Request, spec: TransportSpec, upstream_url: str, medium: str) -> Response:
        """Take part in one track. Raises RTSPError."""
        self.check_alive()
        after = next_state(self.state, Method.SETUP)
        response = await self.feed.set_up(request, spec, self._place(upstream_url))
        self.check_alive()
        if response.status == StatusCode.OK:
            self._media[upstream_url] = medium
            self.state = after
            self.report()
            self._name(response)
        return response

    async def forward(self, request: Request) -> Response:
        """PLAY and PAUSE are about this reader; questions go to the camera. Raises RTSPError."""
        self.check_alive()
        after = next_state(self.state, request.method)
        match request.method:
            case Method.PLAY:
                response = await self.feed.play(request)
                self.check_alive()
            case Method.PAUSE:
                response = respond(request, StatusCode.OK)
            case Method.GET_PARAMETER:
                response = await self.feed.ask(request)
            case method:
                raise RTSPError(
                    f"{method} would concern all readers of the group {self.feed.group}", status=StatusCode.FORBIDDEN
                )
        if response.status == StatusCode.OK:
            self.become(after)
        self._name(response)
        return response

    async def end(self, reason: str, *, close_client: bool = True) -> None:
        """Leave the feed, and give back what is left."""
        await super().end(reason, close_client=close_client)
        self.feed.leave(self)

    @property
    def identity(self) -> dict[str, str]:
        return {**super().identity, "transport": "multicast", "group": self.feed.group}

    def _place(self, upstream_url: str) -> int:
        """Which track of the description it is. A stream without tracks of a name has one."""
        urls = [track.upstream_url for track in self.source.presentation.tracks]
        if upstream_url not in urls and len(urls) > 1:
            raise RTSPError("this stream has no such track", status=StatusCode.NOT_FOUND)
        return urls.index(upstream_url) if upstream_url in urls else 0

    def _name(self, response: Response) -> None:
        name, value = self.header
        response.headers.set(name, value)
