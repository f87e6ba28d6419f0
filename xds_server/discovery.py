"""The aggregated discovery service on grpc.aio: moves bytes between streams and their cores.

Per stream two coroutines: one reads requests into the core, one writes what the core has due. The writer sleeps on an
event that the core sets when the cache changes something that this stream asked for; nothing polls.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from envoy.service.discovery.v3 import discovery_pb2

from xds_server.cache import ResourceCache
from xds_server.subscription import (
    Fault,
    Node,
    StreamCore,
    StreamError,
    StreamObserver,
    XdsProtocol,
    node_of,
)
from xds_server.subscription.limits import RequestBudget

MAX_REQUEST_BYTES = 4 << 20
"""The largest request: a reconnecting proxy states the versions of everything it has, some 60 bytes a resource."""
PING_SECONDS = 10
PING_TIMEOUT_SECONDS = 5
"""A proxy that vanished without a word is noticed within the sum of both."""
SERVER_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", PING_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", PING_TIMEOUT_SECONDS * 1000),
    # gRPC takes clients that ping more often than every five minutes for hostile; Envoy and our own proxies do.
    ("grpc.http2.max_ping_strikes", 0),
)
"""gRPC options for a server that carries this service. A full state may be of any size."""

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"

Scope = Callable[[Node], ResourceCache | None]
"""Which cache a node is served from; None: it is not served. Raises StreamError when it cannot be served now; whoever
raises it says so in the log."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Stream:
    """What the two coroutines of a stream share."""

    context: Any
    core: StreamCore
    due: asyncio.Event
    closing: bool = False


class DiscoveryService:
    """StreamAggregatedResources and DeltaAggregatedResources over caches chosen by `scope`."""

    def __init__(self, scope: Scope, observer: StreamObserver) -> None:
        self._scope = scope
        self._observer = observer
        self._ids = itertools.count(1)
        self._streams: set[_Stream] = set()

    def add_to(self, server: Any) -> None:
        """Register with a grpc.aio.Server; give that server `SERVER_OPTIONS`."""
        handlers = {
            "StreamAggregatedResources": _handler(self._stream_sotw, discovery_pb2.DiscoveryRequest),
            "DeltaAggregatedResources": _handler(self._stream_delta, discovery_pb2.DeltaDiscoveryRequest),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    def close(self) -> None:
        """End every stream at once; the server's own stop() then has nothing to wait for."""
        for stream in self._streams:
            stream.closing = True
            stream.due.set()

    async def _stream_sotw(self, requests: Any, context: Any) -> None:
        await self._serve(context, XdsProtocol.SOTW)

    async def _stream_delta(self, requests: Any, context: Any) -> None:
        await self._serve(context, XdsProtocol.DELTA)

    async def _serve(self, context: Any, protocol: XdsProtocol) -> None:
        first = await context.read()
        if first is grpc.aio.EOF:
            return
        refusals: list[StreamError] = []
        try:
            await self._run(first, context, protocol)
        except* StreamError as group:
            refusals.extend(error for error in group.exceptions if isinstance(error, StreamError))
        if refusals:
            error = refusals[0]
            if error.fault not in (Fault.UNAVAILABLE, Fault.ALREADY_EXISTS):
                _log.warning("xds stream refused", peer=context.peer(), node=first.node.id, reason=str(error))
            await context.abort(grpc.StatusCode[error.fault.value], str(error))

    async def _run(self, first: Any, context: Any, protocol: XdsProtocol) -> None:
        stream = self._open(first, context, protocol)
        self._streams.add(stream)
        try:
            stream.core.receive(first)
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(_write(stream), name=f"xds-write-{stream.core.proxy.id}")
                await _read(stream)
                writer.cancel()
        finally:
            self._streams.discard(stream)
            stream.core.close()

    def _open(self, first: Any, context: Any, protocol: XdsProtocol) -> _Stream:
        node = node_of(first.node)
        cache = self._scope(node)
        if cache is None:
            raise StreamError(
                Fault.PERMISSION_DENIED,
                f"no configuration for node {node.id!r} of cluster {node.cluster!r}: check its id and cluster",
            )
        due = asyncio.Event()
        due.set()
        core = StreamCore(
            stream_id=str(next(self._ids)),
            cache=cache,
            observer=self._observer,
            protocol=protocol,
            node=node,
            peer=context.peer(),
            connected_at=time.time(),
            wake=due.set,
        )
        return _Stream(context, core, due)


async def _read(stream: _Stream) -> None:
    """Feed requests to the core until the client has no more."""
    budget = RequestBudget(time.monotonic())
    while (request := await stream.context.read()) is not grpc.aio.EOF:
        if not stream.core.answers(request):
            delay = budget.spend(time.monotonic())
            if delay > 0:
                stream.core.proxy.throttled += 1
                await asyncio.sleep(delay)
        stream.core.receive(request)
        stream.due.set()


async def _write(stream: _Stream) -> None:
    """Send what is due, whenever something is."""
    while True:
        await stream.due.wait()
        stream.due.clear()
        if stream.closing:
            raise StreamError(Fault.UNAVAILABLE, "the control plane is shutting down")
        for response in stream.core.next_responses():
            await stream.context.write(response)


def _handler(behavior: Any, request_type: Any) -> Any:
    """A bidirectional method whose responses are bytes already."""
    return grpc.stream_stream_rpc_method_handler(behavior, request_deserializer=request_type.FromString)
