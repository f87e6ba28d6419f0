"""The relay service over gRPC: one stream a RTSP proxy.

A stream's outgoing messages wait in a queue of bounded length; a proxy that does not read loses its stream, not its
relays: it states them again when it comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Protocol

import grpc
import structlog

from mesh.wire import relay_pb2, relay_pb2_grpc

# Messages that wait for a proxy to read them: two for each relay it could open in one go.
MAX_QUEUED = 4096

log = structlog.get_logger()


class RelayStream:
    """One RTSP proxy's stream, from its State on."""

    def __init__(self, node_id: str, peer: str, instance: str = "") -> None:
        self.node_id = node_id
        self.peer = peer
        self.instance = instance
        self.queue: asyncio.Queue[relay_pb2.ControlMessage | None] = asyncio.Queue(MAX_QUEUED)

    def send(self, message: relay_pb2.ControlMessage) -> None:
        """Send a message soon; a stream whose reader is too slow ends."""
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            log.warning("an RTSP proxy does not read its relay stream; it is closed", proxy=self.node_id)
            self.end()

    def end(self) -> None:
        """End the stream now, whatever still waits in it."""
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)


class RelayOwner(Protocol):
    """What the service tells of each stream; the control plane is one."""

    def refusal(self, stream: RelayStream) -> str | None:
        """Why a stream cannot be opened while another proxy has its node id; None when it can."""

    def stream_opened(self, stream: RelayStream, state: relay_pb2.State) -> None:
        """A proxy has stated all that it holds."""

    def stream_message(self, stream: RelayStream, message: relay_pb2.ProxyMessage) -> None:
        """A proxy has sent a later message."""

    def stream_closed(self, stream: RelayStream) -> None:
        """A proxy's stream has ended."""


class RelayService(relay_pb2_grpc.RelayServiceServicer):
    """The gRPC servicer."""

    def __init__(self, owner: RelayOwner) -> None:
        self._owner = owner

    async def StreamRelays(  # noqa: N802 - gRPC's name
        self, requests: AsyncIterator[relay_pb2.ProxyMessage], context: Any
    ) -> AsyncIterator[relay_pb2.ControlMessage]:
        """Serve one proxy until it, or the control plane, ends the stream."""
        first = await anext(requests, None)
        if first is None or first.WhichOneof("message") != "state" or not first.state.node_id:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the first message must be State with a node id")
            return
        stream = RelayStream(first.state.node_id, context.peer(), first.state.instance)
        refusal = self._owner.refusal(stream)
        if refusal is not None:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, refusal)
            return
        self._owner.stream_opened(stream, first.state)
        reader = asyncio.create_task(self._read(stream, requests), name=f"relays of {stream.node_id}")
        try:
            await context.send_initial_metadata(())  # tells the proxy that it is connected
            while (message := await stream.queue.get()) is not None:
                yield message
        finally:
            reader.cancel()
            self._owner.stream_closed(stream)

    async def _read(self, stream: RelayStream, requests: AsyncIterator[relay_pb2.ProxyMessage]) -> None:
        try:
            async for message in requests:
                for each in message.batch.messages if message.HasField("batch") else (message,):
                    self._owner.stream_message(stream, each)
        except grpc.aio.AioRpcError as error:
            log.info("a relay stream broke", proxy=stream.node_id, error=error.code().name)
        finally:
            stream.end()
