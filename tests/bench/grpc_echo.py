"""A round trip on a bare gRPC stream between two ends in one process: what any answer of a control plane costs."""

from __future__ import annotations

import time
from typing import Any

import grpc

_SERVICE, _METHOD = "bench.Echo", "Echo"
# About an OpenRelay.
_MESSAGE = bytes(64)
_WARM_UP = 50


async def round_trips_ms(count: int) -> list[float]:
    """Milliseconds of each of `count` round trips, one after the other."""
    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(_echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.stream_stream(f"/{_SERVICE}/{_METHOD}")()
        times = [await _round_trip_ms(call) for _ in range(_WARM_UP + count)]
        await call.done_writing()
        await call.read()
    await server.stop(None)
    return times[_WARM_UP:]


async def _round_trip_ms(call: Any) -> float:
    start = time.perf_counter()
    await call.write(_MESSAGE)
    await call.read()
    return (time.perf_counter() - start) * 1000


async def _echo(_: Any, context: Any) -> None:
    while (message := await context.read()) is not grpc.aio.EOF:
        await context.write(message)
