"""grpc.aio alone: the discovery service's method, with ready-made bytes, and nothing known of what a client says.

A stream's first request is answered with `--each` resources; a change writes one resource to every stream. What a
discovery service costs beyond this is xDS; this itself is gRPC and Python.

`python -m tests.bench.xds.echo --type URL --each N [--loop asyncio] [--port N]`
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from envoy.service.discovery.v3 import discovery_pb2

from tests.bench.xds.control import obey, run
from tests.bench.xds.resources import Content
from xds_server.discovery import SERVER_OPTIONS
from xds_server.resources import Resource

_SERVICE, _METHOD = "envoy.service.discovery.v3.AggregatedDiscoveryService", "DeltaAggregatedResources"


class Echo:
    """`first`: what each stream gets first; nothing when empty."""

    def __init__(self, first: bytes) -> None:
        self._first = first
        self._streams: set[asyncio.Queue[bytes]] = set()

    def push(self, message: bytes) -> None:
        """Write to every stream."""
        for stream in self._streams:
            stream.put_nowait(message)

    async def serve(self, _: Any, context: Any) -> None:
        """One stream: two coroutines, as every service has that may write at any time."""
        await context.read()
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        if self._first:
            queue.put_nowait(self._first)
        self._streams.add(queue)
        writer = asyncio.create_task(_write(queue, context))
        try:
            while await context.read() is not grpc.aio.EOF:
                pass
        finally:
            self._streams.discard(queue)
            writer.cancel()


async def _write(queue: asyncio.Queue[bytes], context: Any) -> None:
    while True:
        await context.write(await queue.get())


def response(type_url: str, resources: list[Resource]) -> bytes:
    """A DeltaDiscoveryResponse."""
    head = discovery_pb2.DeltaDiscoveryResponse(system_version_info="1", type_url=type_url, nonce="1.1")
    parts = [part for resource in resources for part in resource.delta_parts()]
    return bytes(head.SerializeToString()) + b"".join(parts)


async def serve(type_url: str, each: int, port: int) -> None:
    """Until standard input ends."""
    content = Content(type_url)
    first = content.first(each)
    echo = Echo(response(type_url, first) if first else b"")
    server = grpc.aio.server(options=SERVER_OPTIONS)
    handlers = {_METHOD: grpc.stream_stream_rpc_method_handler(echo.serve)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await obey(bound, lambda index: echo.push(response(type_url, [content.change(index)])))
    await server.stop(0)


if __name__ == "__main__":
    run(serve, "--each")
