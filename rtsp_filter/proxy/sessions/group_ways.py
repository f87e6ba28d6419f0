"""Ways from a multicast group that a camera sends to: this process has joined it."""

from __future__ import annotations

from dataclasses import replace

from rtsp_filter.proxy.cameras.upstream import Upstream
from rtsp_filter.proxy.multicast.group_end import GroupEnd
from rtsp_filter.proxy.sessions import transport
from rtsp_filter.proxy.sessions.framed_ways import Framed
from rtsp_filter.proxy.sessions.relayed_ways import Relayed
from rtsp_filter.proxy.sessions.way import BaseWay
from rtsp_filter.rtsp import TransportSpec


class Joined(BaseWay):
    """From a group. What the client says by RTCP is for nobody: nobody at the camera listens for it."""

    _group: GroupEnd | None = None

    def ask_another(self, upstream: Upstream) -> TransportSpec:
        self._legs = replace(self._legs, upstream=upstream)
        return transport.upstream_multicast(self._spec)

    async def vacate(self) -> None:
        self._leave()
        await super().vacate()

    async def refill(self) -> None:
        self._join()
        await super().refill()

    def close(self) -> None:
        self._leave()
        super().close()

    def _join(self) -> None:
        legs = self._legs
        self._group = legs.groups.join(self._granted, legs.upstream.local_address, self.from_camera)

    def _leave(self) -> None:
        if self._group is not None:
            self._group.close()
            self._group = None


class FramedFromGroup(Joined, Framed):
    """Straight into frames."""

    async def prepare(self) -> TransportSpec:
        self.client_channels = transport.channels(self._spec, self._legs.client_channels)
        return transport.upstream_multicast(self._spec)

    def finish(self) -> TransportSpec:
        self._join()
        return super().finish()


class RelayedFromGroup(Joined, Relayed):
    """Into a relay, as a camera's frames are."""

    def finish(self) -> TransportSpec:
        self._join()
        return super().finish()

    def _question(self) -> TransportSpec:
        return transport.upstream_multicast(self._spec)
