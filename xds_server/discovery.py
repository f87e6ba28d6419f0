"""The discovery services on grpc.aio, aggregated and of single types: moves bytes between streams and their cores.

Per stream two coroutines: one reads requests into the core, one writes what the core has due. The writer sleeps on an
event that the core sets when the cache changes something that this stream asked for; nothing polls.

Unary `Fetch` calls are refused: a client of those would have to poll.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import structlog
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.message import DecodeError

from xds_server.cache import ResourceCache
from xds_server.resource_types import RESOURCE_TYPES, ResourceType
from xds_server.subscription import (
    Doubts,
    Fault,
    Node,
    StreamCore,
    StreamError,
    StreamObserver,
    Traffic,
    XdsProtocol,
    node_of,
)
from xds_server.subscription.limits import Admission, request_budget

MAX_REQUEST_BYTES = 4 << 20
"""The largest request: a reconnecting proxy states the versions of everything it has, some 60 bytes a resource."""
MAX_PENDING_CALLS = 20_000
"""Calls that wait to be taken up. gRPC's own limit, 1,000, cancels some of a fleet that reconnects at once."""
MAX_STREAMS_PER_CONNECTION = 100
"""A proxy has one stream, or one for each type and cluster that it asks for by itself."""
REFUSAL_SECONDS = 1.0
"""How long a refusal is held back from a node that opens streams too often, so that a tight loop costs little."""
PING_SECONDS = 10
PING_TIMEOUT_SECONDS = 5
"""A proxy that vanished without a word is noticed within the sum of both."""
SERVER_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_concurrent_streams", MAX_STREAMS_PER_CONNECTION),
    ("grpc.server.max_pending_requests", MAX_PENDING_CALLS),
    ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING_CALLS),
    ("grpc.keepalive_time_ms", PING_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", PING_TIMEOUT_SECONDS * 1000),
    # gRPC takes clients that ping more often than every five minutes for hostile; Envoy and our own proxies do.
    ("grpc.http2.max_ping_strikes", 0),
)
"""gRPC options for a server that carries these services. A full state may be of any size."""

AGGREGATED = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_REQUESTS = {
    XdsProtocol.DELTA: discovery_pb2.DeltaDiscoveryRequest,
    XdsProtocol.SOTW: discovery_pb2.DiscoveryRequest,
}

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
    """All discovery services over caches chosen by `scope`.

    traffic: of streams that have ended. refused: streams that were not served, by fault.
    """

    def __init__(self, scope: Scope, observer: StreamObserver) -> None:
        self.traffic = Traffic()
        self.refused: Counter[Fault] = Counter()
        self._scope = scope
        self._observer = observer
        self._ids = itertools.count(1)
        self._streams: set[_Stream] = set()
        self._admission = Admission()
        self._doubts = Doubts()

    def add_to(self, server: Any) -> None:
        """Register with a grpc.aio.Server; give that server `SERVER_OPTIONS`."""
        aggregated = {
            "StreamAggregatedResources": self._handler(XdsProtocol.SOTW, None),
            "DeltaAggregatedResources": self._handler(XdsProtocol.DELTA, None),
        }
        services = [grpc.method_handlers_generic_handler(AGGREGATED, aggregated)]
        services += [service for kind in RESOURCE_TYPES.values() for service in self._service_of(kind)]
        server.add_generic_rpc_handlers(tuple(services))

    def close(self) -> None:
        """End every stream at once; the server's own stop() then has nothing to wait for."""
        for stream in self._streams:
            stream.closing = True
            stream.due.set()

    def _service_of(self, kind: ResourceType) -> list[Any]:
        """The service of one type, for types that have one."""
        service = kind.service
        if service is None:
            return []
        handlers = {service.delta: self._handler(XdsProtocol.DELTA, kind)}
        if service.stream is not None:
            handlers[service.stream] = self._handler(XdsProtocol.SOTW, kind)
        if service.fetch is not None:
            handlers[service.fetch] = grpc.unary_unary_rpc_method_handler(partial(_refuse_fetch, service.delta))
        return [grpc.method_handlers_generic_handler(service.name, handlers)]

    def _handler(self, protocol: XdsProtocol, kind: ResourceType | None) -> Any:
        """A bidirectional method of bytes: the core writes responses itself, and we refuse what is no request."""

        async def serve(requests: Any, context: Any) -> None:
            await self._serve(context, protocol, kind)

        return grpc.stream_stream_rpc_method_handler(serve)

    async def _serve(self, context: Any, protocol: XdsProtocol, kind: ResourceType | None) -> None:
        node = ""
        refusals: list[StreamError] = []
        try:
            first = await _request(context, protocol)
            if first is not None:
                node = first.node.id
                await self._run(first, context, protocol, kind)
        except* StreamError as group:
            refusals.extend(error for error in group.exceptions if isinstance(error, StreamError))
        if refusals:
            error = refusals[0]
            self.refused[error.fault] += 1
            if error.fault not in (Fault.UNAVAILABLE, Fault.ALREADY_EXISTS):
                _log.warning("xds stream refused", peer=context.peer(), node=node, reason=str(error))
            await context.abort(grpc.StatusCode[error.fault.value], str(error))

    async def _run(self, first: Any, context: Any, protocol: XdsProtocol, kind: ResourceType | None) -> None:
        node = node_of(first.node)
        await self._admit(node)
        stream = self._open(node, context, protocol, kind)
        self._streams.add(stream)
        core = stream.core
        try:
            core.receive(first)
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(_write(stream), name=f"xds-write-{core.proxy.id}")
                await _read(stream)
                writer.cancel()
        finally:
            self._streams.discard(stream)
            if not core.broken:
                self._doubts.remember(node, core.doubts())
            core.close()
            self.traffic.add(core.proxy.traffic)

    async def _admit(self, node: Node) -> None:
        reason = self._admission.refusal((node.cluster, node.id), len(self._streams), time.monotonic())
        if reason is not None:
            await asyncio.sleep(REFUSAL_SECONDS)
            raise StreamError(Fault.RESOURCE_EXHAUSTED, reason)

    def _open(self, node: Node, context: Any, protocol: XdsProtocol, kind: ResourceType | None) -> _Stream:
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
            kind=kind,
            doubts=self._doubts.of(node),
        )
        return _Stream(context, core, due)


async def _read(stream: _Stream) -> None:
    """Feed requests to the core until the client has no more."""
    context, core = stream.context, stream.core
    budget = request_budget(time.monotonic())
    while (request := await _request(context, core.proxy.protocol)) is not None:
        cost = core.receive(request)
        if core.due or core.next_timer is not None:
            stream.due.set()
        if cost:
            delay = budget.spend(time.monotonic(), cost)
            if delay > 0:
                core.proxy.traffic.throttled += 1
                await asyncio.sleep(delay)


async def _request(context: Any, protocol: XdsProtocol) -> Any:
    """The next request; None: the client has no more. Raises StreamError for what is none."""
    data = await context.read()
    if data is grpc.aio.EOF:
        return None
    try:
        return _REQUESTS[protocol].FromString(data)
    except DecodeError as error:
        name = _REQUESTS[protocol].DESCRIPTOR.full_name
        raise StreamError(Fault.INVALID_ARGUMENT, f"a request is not of type {name}: {error}") from error


async def _write(stream: _Stream) -> None:
    """Send what is due, whenever something is."""
    while True:
        await _until_due(stream)
        stream.due.clear()
        if stream.closing:
            raise StreamError(Fault.UNAVAILABLE, "the control plane is shutting down")
        for response in stream.core.next_responses(time.monotonic()):
            await stream.context.write(response)


async def _until_due(stream: _Stream) -> None:
    """Wait for a change or a request, or until something has to be renewed."""
    timer = stream.core.next_timer
    if timer is None:
        await stream.due.wait()
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, timer - time.monotonic())):
            await stream.due.wait()


async def _refuse_fetch(instead: str, request: Any, context: Any) -> None:
    """Of a unary Fetch method."""
    await context.abort(
        grpc.StatusCode.UNIMPLEMENTED, f"resources are served on streams only: use {instead}, or the aggregated service"
    )
