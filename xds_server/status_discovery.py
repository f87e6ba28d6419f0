"""Client status discovery (CSDS) on grpc.aio: what each proxy was sent, has acknowledged and has refused, and why.

Unary (`FetchClientStatus`) and as a stream (`StreamClientStatus`, one answer for each request). An answer holds every
proxy that the request's node matchers mean. It costs some 100 bytes and 10 microseconds for a resource, and the
resource itself unless `exclude_resource_contents` is set; the event loop goes on with other work while it is made.

An answer is whole in memory until gRPC has passed it on, and gRPC cannot take back what it was given: who does not read
keeps its turn until it does or is gone, and it is those who come later that are refused.

Source: Envoy API, service.status.v3.ClientStatusDiscoveryService.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from envoy.service.status.v3 import csds_pb2

from xds_server.client_status import CacheOf, client_config, clients
from xds_server.node_matching import MatcherError, node_test
from xds_server.subscription import ConnectedProxy
from xds_server.wire import length_prefix

SERVICE = "envoy.service.status.v3.ClientStatusDiscoveryService"
MAX_ANSWER_BYTES = 64 << 20
"""Four proxies of 10,000 resources of 1.5 KB each; who wants more asks for some of them at a time."""
MAX_ANSWERS_AT_ONCE = 4
"""Answers that are made, or that their clients have not read yet."""
MAX_WAIT_SECONDS = 10.0
"""How long a request waits for its turn: a client that reads has the largest answer within seconds."""
MAX_CALLS = 100
"""Streams and unary calls at once: people and their tools are few, and each call costs what it asks."""
MAX_REQUEST_BYTES = 64 << 10
"""As many patterns as a request may have, of some 600 bytes each."""
# Work on an answer gives way to media's configuration after about two milliseconds.
_SLICE_SECONDS = 0.002
_CONFIG_FIELD = csds_pb2.ClientStatusResponse.CONFIG_FIELD_NUMBER


class _RefusedError(Exception):
    """Somebody asks for more than anybody should be given: the sentence says what to do instead."""


class StatusDiscovery:
    """The service. `proxies`: the streams that there are now. `cache_of`: what each node is served from."""

    def __init__(self, proxies: Callable[[], Iterable[ConnectedProxy]], cache_of: CacheOf) -> None:
        self._proxies = proxies
        self._cache_of = cache_of
        self._turns = asyncio.Semaphore(MAX_ANSWERS_AT_ONCE)
        self._calls = 0

    def add_to(self, server: Any) -> None:
        """Register with a grpc.aio.Server."""
        read = csds_pb2.ClientStatusRequest.FromString
        handlers = {
            # To a client one response on a stream is a unary call, and here only streams tell when it was taken.
            "FetchClientStatus": grpc.unary_stream_rpc_method_handler(self._fetch, request_deserializer=read),
            "StreamClientStatus": grpc.stream_stream_rpc_method_handler(self._stream, request_deserializer=read),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    async def _fetch(self, request: Any, context: Any) -> None:
        async def one() -> AsyncIterator[Any]:
            yield request

        await self._stream(one(), context)

    async def _stream(self, requests: AsyncIterator[Any], context: Any) -> None:
        try:
            with self._call():
                async for request in requests:
                    await self._answer(request, context)
        except MatcherError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except _RefusedError as error:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))

    @contextmanager
    def _call(self) -> Iterator[None]:
        """Counts a call. Raises _RefusedError."""
        if self._calls >= MAX_CALLS:
            raise _RefusedError(f"{MAX_CALLS} calls of client status discovery are open: end those that nobody needs")
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1

    async def _answer(self, request: Any, context: Any) -> None:
        """Make an answer and pass it on. Raises MatcherError, _RefusedError."""
        await self._take_turn()
        try:
            await context.write(await self._make(request))
        finally:
            self._turns.release()

    async def _take_turn(self) -> None:
        try:
            async with asyncio.timeout(MAX_WAIT_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise _RefusedError(
                f"{MAX_ANSWERS_AT_ONCE} answers are on their way and their clients do not read them: try again when one"
                " of those has read its answer, or has ended"
            ) from None

    async def _make(self, request: Any) -> bytes:
        """The ClientStatusResponse. Raises MatcherError, _RefusedError."""
        if request.ByteSize() > MAX_REQUEST_BYTES:
            raise MatcherError(
                f"a request is larger than {MAX_REQUEST_BYTES >> 10} KiB: give fewer or shorter patterns"
            )
        wanted = node_test(request.node_matchers)
        answer = _Answer()
        for streams in clients(self._proxies()):
            if wanted(streams[-1].node):
                await answer.add(client_config(streams, self._cache_of, contents=not request.exclude_resource_contents))
            await answer.give_way()
        return b"".join(answer.pieces)


class _Answer:
    """The pieces of an answer, collected with pauses for others."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._room = MAX_ANSWER_BYTES
        self._since = time.monotonic()

    async def add(self, config: Iterable[bytes]) -> None:
        """A ClientConfig. Raises _RefusedError."""
        place, before = len(self.pieces), self._room
        self.pieces.append(b"")
        for piece in config:
            self.pieces.append(piece)
            self._room -= len(piece)
            if self._room < 0:
                raise _RefusedError(
                    f"the answer would be larger than {MAX_ANSWER_BYTES >> 20} MiB: ask for some proxies by"
                    " node_matchers, or set exclude_resource_contents"
                )
            await self.give_way()
        self.pieces[place] = length_prefix(_CONFIG_FIELD, before - self._room)

    async def give_way(self) -> None:
        """Let others work if this has for long enough."""
        if time.monotonic() - self._since >= _SLICE_SECONDS:
            await asyncio.sleep(0)
            self._since = time.monotonic()
