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
from xds_server.subscription.limits import MAX_STREAMS, Admission, request_budget

MAX_REQUEST_BYTES = 4 << 20
"""The largest request: a reconnecting proxy states the versions of everything it has, some 60 bytes a resource."""
MAX_PENDING_CALLS = 20_000
"""Calls that wait to be taken up. gRPC's own limit, 1,000, cancels some of a fleet that reconnects at once."""
MAX_STREAMS_PER_CONNECTION = 100
"""A proxy has one stream, or one for each type and cluster that it asks for by itself."""
REFUSAL_SECONDS = 1.0
"""How long a refusal is held back from a node that opens streams too often, so that a tight loop costs little."""
FIRST_REQUEST_SECONDS = 30.0
"""How long a stream may be open before its client says who it is. Clients do at once."""
LAST_WRITE_SECONDS = 1.0
"""How long a client that broke a rule may take to read what is being written, before it is cut off without a word."""
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
    """What the two coroutines of a stream share. `key`: cluster and id of its node. `first`: how it begins."""

    context: Any
    core: StreamCore
    key: tuple[str, str]
    due: asyncio.Event
    first: list[Any]
    closing: bool = False
    broken: bool = False


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
        self._calls = 0
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
        self._calls += 1
        try:
            if self._calls > MAX_STREAMS:
                raise StreamError(
                    Fault.RESOURCE_EXHAUSTED, f"this server has {MAX_STREAMS} streams, and takes no more: use another"
                )
            first = await _first_request(context, protocol)
            if first is not None:
                node = first.node.id
                stream = await self._open(first, context, protocol, kind)
                del first  # it states all that the client has, and the stream may last for months
                await self._run(stream)
        except* StreamError as group:
            refusals.extend(error for error in group.exceptions if isinstance(error, StreamError))
        finally:
            self._calls -= 1
        if refusals:
            error = refusals[0]
            self.refused[error.fault] += 1
            if error.fault not in (Fault.UNAVAILABLE, Fault.ALREADY_EXISTS):
                _log.warning("xds stream refused", peer=context.peer(), node=node, reason=str(error))
            await _end(context, error)

    async def _run(self, stream: _Stream) -> None:
        core, key = stream.core, stream.key
        self._streams.add(stream)
        self._doubts.began(key, core)
        try:
            core.receive(stream.first.pop())
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(_write(stream), name=f"xds-write-{core.proxy.id}")
                try:
                    await _read(stream)
                except StreamError:
                    # gRPC cannot send a status while a response is being written.
                    stream.broken = True
                    stream.due.set()
                    await asyncio.wait((writer,), timeout=LAST_WRITE_SECONDS)
                    raise
                writer.cancel()
        finally:
            self._streams.discard(stream)
            self._doubts.ended(key, core)
            core.close()
            self.traffic.add(core.proxy.traffic)

    async def _admit(self, key: tuple[str, str]) -> None:
        reason = self._admission.refusal(key, time.monotonic())
        if reason is not None:
            await asyncio.sleep(REFUSAL_SECONDS)
            raise StreamError(Fault.RESOURCE_EXHAUSTED, reason)

    async def _open(self, first: Any, context: Any, protocol: XdsProtocol, kind: ResourceType | None) -> _Stream:
        node = node_of(first.node)
        key = (node.cluster, node.id or context.peer())  # nodes without an id have nothing in common
        await self._admit(key)
        cache = self._scope(node)
        if cache is None:
            hint = "check its id and cluster" if node.id else "the first request of a stream has to say which node asks"
            reason = f"no configuration for node {node.id!r} of cluster {node.cluster!r}: {hint}"
            raise StreamError(Fault.PERMISSION_DENIED, reason)
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
            doubts=self._doubts.of(key),
        )
        return _Stream(context, core, key, due, [first])


async def _read(stream: _Stream) -> None:
    """Feed requests to the core until the client has no more."""
    context, core = stream.context, stream.core
    budget = request_budget(time.monotonic())
    while (request := await _request(context, core.proxy.protocol)) is not None:
        cost = core.receive(request)
        del request  # it may be large, and the next one is long in coming
        if core.due or core.next_timer is not None:
            stream.due.set()
        if cost:
            delay = budget.spend(time.monotonic(), cost)
            if delay > 0:
                core.proxy.traffic.throttled += 1
                await asyncio.sleep(delay)


async def _end(context: Any, error: StreamError) -> None:
    """End a stream with a status, or without one where a response that the client does not read is in its way."""
    try:
        await context.abort(grpc.StatusCode[error.fault.value], str(error))
    except grpc.aio.AbortError:
        raise
    except Exception as failure:  # whatever gRPC raises then; it has no name of its own
        _log.info("xds stream ended without a status", peer=context.peer(), reason=str(failure))


async def _first_request(context: Any, protocol: XdsProtocol) -> Any:
    """The request that says who the client is, and that it must not keep us waiting for."""
    try:
        async with asyncio.timeout(FIRST_REQUEST_SECONDS):
            return await _request(context, protocol)
    except TimeoutError as error:
        reason = f"no request within {FIRST_REQUEST_SECONDS:.0f} s of the beginning of the stream"
        raise StreamError(Fault.INVALID_ARGUMENT, reason) from error


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
        if stream.broken:
            return
        if stream.closing:
            raise StreamError(Fault.UNAVAILABLE, "the control plane is shutting down")
        await _write_due(stream)


async def _write_due(stream: _Stream) -> None:
    """Its own coroutine, so that nothing holds on to responses once they are written."""
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
