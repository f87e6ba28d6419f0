"""Envoy's metrics service over real gRPC, on the loopback interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from mesh.wire import metrics_pb2
from xds_server.relays.activity_service import SERVICE, ActivityService
from xds_server.relays.slot_activity import Counters


class Reader:
    """Believes the proxy "envoy", and reads a and b."""

    def __init__(self) -> None:
        self.counters = {"a", "b"}
        self.events: asyncio.Queue[object] = asyncio.Queue()
        self.metadata: Mapping[str, Any] = {}

    def refusal(self, node_id: str, metadata: Mapping[str, Any]) -> str | None:
        self.metadata = metadata
        return None if node_id == "envoy" else f"not {node_id}"

    def begun(self) -> None:
        self.events.put_nowait("begun")

    def reported(self, counters: Counters, now: float) -> None:
        self.events.put_nowait(dict(counters))


@asynccontextmanager
async def open_service() -> AsyncIterator[tuple[Reader, Any]]:
    """Its reader, and what opens a stream."""
    reader = Reader()
    server = grpc.aio.server()
    ActivityService(reader).add_to(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield (
            reader,
            channel.stream_unary(
                f"/{SERVICE}/StreamMetrics",
                request_serializer=metrics_pb2.StreamMetricsMessage.SerializeToString,
                response_deserializer=metrics_pb2.StreamMetricsResponse.FromString,
            ),
        )
    await server.stop(None)


def report(node: str | None = None, **counters: float) -> Any:
    message = metrics_pb2.StreamMetricsMessage()
    if node is not None:
        message.identifier.node.id = node
        message.identifier.node.metadata["key"] = "value"
    for name, value in counters.items():
        family = message.envoy_metrics.add(name=name)
        family.metric.add(counter=metrics_pb2.Counter(value=value))
    return message


async def test_counters_of_a_stream_are_read_and_nothing_else_is() -> None:
    async with open_service() as (reader, open_stream):
        call = open_stream()
        first = report("envoy", a=1)
        first.envoy_metrics.add(name="a gauge")
        await call.write(first)
        await call.write(report(a=2, b=1, c=7))
        assert [await reader.events.get() for _ in range(3)] == ["begun", {"a": 1}, {"a": 2, "b": 1}]
        assert reader.metadata == {"key": "value"}
        await call.done_writing()
        assert await call == metrics_pb2.StreamMetricsResponse()


@pytest.mark.parametrize("message", [report("stranger", a=1), report(a=1)], ids=["another proxy", "nobody"])
async def test_reports_of_somebody_else_are_refused(message: Any) -> None:
    async with open_service() as (reader, open_stream):
        call = open_stream()
        await call.write(message)
        with pytest.raises(grpc.aio.AioRpcError, match="not ") as error:
            await call
        assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert reader.events.empty()


async def test_the_newest_stream_counts_and_the_one_before_ends() -> None:
    async with open_service() as (reader, open_stream):
        older, newer = open_stream(), open_stream()
        await older.write(report("envoy", a=1))
        assert [await reader.events.get() for _ in range(2)] == ["begun", {"a": 1}]
        await newer.write(report("envoy", a=5))
        assert [await reader.events.get() for _ in range(2)] == ["begun", {"a": 5}]
        await older.write(report(a=2))
        await older
        await newer.write(report(a=6))
        assert await reader.events.get() == {"a": 6}
        assert reader.events.empty()
