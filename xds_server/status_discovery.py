"""Client status discovery (CSDS) on grpc.aio: what each proxy was sent, has acknowledged and has refused, and why.

Unary (`FetchClientStatus`) and as a stream (`StreamClientStatus`, one answer for each request). An answer holds every
proxy that the request's node matchers mean. It costs some 100 bytes and 10 microseconds for a resource, and the
resource itself unless `exclude_resource_contents` is set; the event loop goes on with other work while it is made.

Source: Envoy API, service.status.v3.ClientStatusDiscoveryService.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import grpc
from envoy.service.status.v3 import csds_pb2

from xds_server.client_status import CacheOf, client_config, clients
from xds_server.node_matching import MatcherError, node_test
from xds_server.subscription import ConnectedProxy
from xds_server.wire import bytes_field

SERVICE = "envoy.service.status.v3.ClientStatusDiscoveryService"
MAX_ANSWER_BYTES = 64 << 20
"""Four proxies of 10,000 resources of 1.5 KB each; who wants more asks for some of them at a time."""
MAX_ANSWERS_AT_ONCE = 4
"""Answers are whole in memory until they are sent; who comes later waits."""
# Work on an answer gives way to media's configuration after about two milliseconds.
_PIECES_AT_ONCE = 200
_CONFIG_FIELD = csds_pb2.ClientStatusResponse.CONFIG_FIELD_NUMBER


class _TooLargeError(Exception):
    """The answer would be larger than anybody should be sent."""


class StatusDiscovery:
    """The service. `proxies`: the streams that there are now. `cache_of`: what each node is served from."""

    def __init__(self, proxies: Callable[[], Iterable[ConnectedProxy]], cache_of: CacheOf) -> None:
        self._proxies = proxies
        self._cache_of = cache_of
        self._answering = asyncio.Semaphore(MAX_ANSWERS_AT_ONCE)

    def add_to(self, server: Any) -> None:
        """Register with a grpc.aio.Server."""
        read = csds_pb2.ClientStatusRequest.FromString
        handlers = {
            "FetchClientStatus": grpc.unary_unary_rpc_method_handler(self._fetch, request_deserializer=read),
            "StreamClientStatus": grpc.stream_stream_rpc_method_handler(self._stream, request_deserializer=read),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    async def _fetch(self, request: Any, context: Any) -> bytes:
        return await self._answer(request, context)

    async def _stream(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield await self._answer(request, context)

    async def _answer(self, request: Any, context: Any) -> bytes:
        async with self._answering:
            try:
                return await self._make(request)
            except MatcherError as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            except _TooLargeError as error:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        raise AssertionError("abort raises")

    async def _make(self, request: Any) -> bytes:
        wanted = node_test(request.node_matchers)
        answer = bytearray()
        for streams in clients(self._proxies()):
            if wanted(streams[-1].node):
                room = MAX_ANSWER_BYTES - len(answer)
                config = client_config(streams, self._cache_of, contents=not request.exclude_resource_contents)
                answer += bytes_field(_CONFIG_FIELD, await _joined(config, room))
        return bytes(answer)


async def _joined(pieces: Iterable[bytes], room: int) -> bytes:
    """The pieces as one, with pauses for others. Raises _TooLargeError."""
    joined = bytearray()
    for number, piece in enumerate(pieces, 1):
        joined += piece
        if len(joined) > room:
            raise _TooLargeError(
                f"the answer would be larger than {MAX_ANSWER_BYTES >> 20} MiB: ask for some proxies by node_matchers,"
                " or set exclude_resource_contents"
            )
        if number % _PIECES_AT_ONCE == 0:
            await asyncio.sleep(0)
    return bytes(joined)
