"""Ways from TCP to TCP, in interleaved frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rtsp_filter.proxy.cameras.upstream import Upstream
from rtsp_filter.proxy.sessions import transport
from rtsp_filter.proxy.sessions.way import BaseWay, from_receiver, from_sender
from rtsp_filter.rtsp import Payload, TransportSpec


class PassedThrough(BaseWay):
    """The camera is asked for the client's own channels, so that nothing needs to change."""

    async def prepare(self) -> TransportSpec:
        self.client_channels = self.camera_channels = transport.channels(self._spec, self._legs.client_channels)
        return transport.upstream_tcp(self._spec, self.client_channels)

    def ask_another(self, upstream: Upstream) -> TransportSpec:
        self._legs = replace(self._legs, upstream=upstream)
        assert self.client_channels is not None
        return transport.upstream_tcp(self._spec, self.client_channels)

    def finish(self) -> TransportSpec:
        assert self.client_channels is not None
        return transport.answer_tcp(self._spec, self._granted, self.client_channels)


class Framed(PassedThrough):
    """Frame by frame, so that one camera's are never mixed with another's."""

    def from_client(self, kind: int, payloads: Sequence[Payload]) -> None:
        if self.camera_channels is not None:
            self._legs.upstream.send_frames(self.camera_channels[kind], from_receiver(self._legs, kind, payloads))

    def from_camera(self, kind: int, payloads: Sequence[Payload]) -> None:
        if self.client_channels is not None:
            self._legs.client.write_frames(self.client_channels[kind], from_sender(self._legs, kind, payloads))
