"""The relay service over gRPC: one stream a RTSP proxy, translated to and from the registry's own types.

A stream's outgoing messages wait in a queue of bounded length; a proxy that does not read loses its stream, not its
relays: it states them again when it comes back.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
from collections.abc import AsyncIterator, Iterable
from typing import Any, Protocol

import grpc
import structlog

from mesh.wire import relay_pb2, relay_pb2_grpc
from xds_server.relays.registry import (
    Allocated,
    Failed,
    FailureReason,
    Granted,
    Receiver,
    Relay,
    RelayMessage,
    RelayState,
)
from xds_server.relays.slots import SlotLayout

# Messages that wait for a proxy to read them: two for each relay it could open in one go.
MAX_QUEUED = 4096

_REASONS = {
    FailureReason.NO_FREE_SLOT: relay_pb2.RelayFailed.NO_FREE_SLOT,
    FailureReason.MEDIA_PROXY_UNAVAILABLE: relay_pb2.RelayFailed.MEDIA_PROXY_UNAVAILABLE,
    FailureReason.REFUSED: relay_pb2.RelayFailed.REFUSED,
}

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
                self._owner.stream_message(stream, message)
        except grpc.aio.AioRpcError as error:
            log.info("a relay stream broke", proxy=stream.node_id, error=error.code().name)
        finally:
            stream.end()


def relay_of(message: relay_pb2.OpenRelay, owner: str) -> Relay:
    """A relay as a proxy asks for it. Raises ValueError when its receiver is no address with two ports."""
    if not message.relay_id:
        raise ValueError("a relay needs an id")
    return Relay(
        relay_id=message.relay_id,
        session_id=message.session_id,
        media=message.media,
        receiver=_receiver(message.receiver) if message.HasField("receiver") else None,
        owner=owner,
        state=RelayState.WAITING,
        deadline=math.inf,
        slot=message.slot if message.HasField("slot") else None,
    )


def _receiver(message: relay_pb2.Receiver) -> Receiver:
    address = str(ipaddress.ip_address(message.address))
    if not (0 < message.rtp_port < 65536 and 0 < message.rtcp_port < 65536):
        raise ValueError(f"the receiver {address} needs two UDP ports")
    return Receiver(address=address, rtp_port=message.rtp_port, rtcp_port=message.rtcp_port)


def control_message(message: RelayMessage, layout: SlotLayout, addresses: Iterable[str]) -> Any:
    """A registry's message as the wire has it."""
    if isinstance(message, Granted):
        slots = [_slot(slot, layout, addresses) for slot in message.slots]
        return relay_pb2.ControlMessage(slots_granted=relay_pb2.SlotsGranted(slots=slots))
    if isinstance(message, Allocated):
        slot = _slot(message.slot, layout, addresses)
        return relay_pb2.ControlMessage(relay_allocated=relay_pb2.RelayAllocated(relay_id=message.relay_id, slot=slot))
    if isinstance(message, Failed):
        return failed(message.relay_id, message.reason, message.message)
    return relay_pb2.ControlMessage(relay_ready=relay_pb2.RelayReady(relay_id=message.relay_id))


def _slot(number: int, layout: SlotLayout, addresses: Iterable[str]) -> relay_pb2.Slot:
    ports = layout.ports(number)
    return relay_pb2.Slot(number=number, addresses=addresses, ingress_port=ports.ingress, egress_port=ports.egress)


def failed(relay_id: str, reason: FailureReason, text: str) -> Any:
    """RelayFailed as the wire has it."""
    return relay_pb2.ControlMessage(
        relay_failed=relay_pb2.RelayFailed(relay_id=relay_id, reason=_REASONS[reason], message=text)
    )
