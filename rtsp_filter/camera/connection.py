"""One control connection of the camera: bytes to messages and frames, responses and media back."""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import Protocol, cast

from rtsp_filter.camera.session import Batch, TCPTarget
from rtsp_filter.rtsp import (
    BOTH_VERSIONS,
    Event,
    FrameAssembler,
    InterleavedChunk,
    Parser,
    PlayerLeg,
    Request,
    Response,
    RTSPError,
    RTSPParseError,
    encode_frame,
    respond,
    response_for,
)

MAX_BACKLOG = 1024 * 1024
"""Bytes that wait for a slow player: some seconds of media. Beyond, packets are dropped whole."""


class ConnectionOwner(Protocol):
    """Whom a connection tells what happens on it."""

    def connected(self, connection: Connection, transport: asyncio.Transport) -> None: ...

    def request_received(self, connection: Connection, request: Request) -> Response: ...

    def frame_received(self, connection: Connection, channel: int, data: bytes) -> None: ...

    def disconnected(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """Speaks RTSP with one player until either side hangs up, or the player sends what is no RTSP."""

    def __init__(self, owner: ConnectionOwner) -> None:
        self._owner = owner
        self._parser = Parser(versions=BOTH_VERSIONS)
        self._leg = PlayerLeg()
        self._frames = FrameAssembler()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        self._owner.connected(self, self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.receive_data(data)
            while (event := self._parser.next_event()) is not None:
                self._handle(event)
        except RTSPParseError as error:
            self._write(response_for(error.status, error.cseq).encode())
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.disconnected(self)

    def send(self, target: TCPTarget, batch: Batch) -> None:
        """Send all of a batch, or nothing while the player does not read."""
        if self._transport is None or self._transport.get_write_buffer_size() > MAX_BACKLOG:
            return
        rtcp = (encode_frame(target.channels.rtcp, packet) for packet in batch.rtcp)
        rtp = (encode_frame(target.channels.rtp, packet) for packet in batch.rtp)
        self._write(b"".join(chain(rtcp, rtp)))

    def close(self) -> None:
        """Hang up once everything is written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()

    def _handle(self, event: Event) -> None:
        if isinstance(event, Request):
            self._write(self._leg.answer(event, self._response_to(event)).encode())
        elif isinstance(event, InterleavedChunk):
            for channel, payload in self._frames.receive_chunk(event):
                self._owner.frame_received(self, channel, payload)

    def _response_to(self, asked: Request) -> Response:
        try:
            return self._owner.request_received(self, self._leg.receive(asked))
        except RTSPError as error:
            return respond(asked, error.status)

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
