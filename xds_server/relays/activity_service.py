"""Envoy's metrics service on grpc.aio: a media proxy's stream of reports, read for its counters.

A report that cannot be taken ends its stream, and Envoy opens another one with its next report.

Envoy API: service.metrics.v3.MetricsService.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Container, Mapping
from typing import Any, Protocol

import grpc
from google.protobuf import json_format

from mesh.wire import metrics_pb2
from xds_server.relays.slot_activity import Counters

SERVICE = "envoy.service.metrics.v3.MetricsService"


class ReportReader(Protocol):
    """Whom the reports are for. `counters`: names of those that it reads."""

    counters: Container[str]

    def refusal(self, node_id: str, metadata: Mapping[str, Any]) -> str | None:
        """Why a proxy's reports are not taken; None when they are."""

    def begun(self) -> None:
        """What follows are the reports of a new stream, and of no other."""

    def reported(self, counters: Counters, now: float) -> None:
        """A report; `now` is monotonic seconds."""


class ActivityService:
    """The newest stream counts: Envoy has one, and another only when that is lost."""

    def __init__(self, reader: ReportReader) -> None:
        self._reader = reader
        self._newest: object = None

    def add_to(self, server: Any) -> None:
        """Register with a grpc.aio.Server."""
        handler = grpc.stream_unary_rpc_method_handler(
            self._stream,
            request_deserializer=metrics_pb2.StreamMetricsMessage.FromString,
            response_serializer=metrics_pb2.StreamMetricsResponse.SerializeToString,
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"StreamMetrics": handler}),))

    async def _stream(self, reports: AsyncIterator[Any], context: Any) -> Any:
        """Read one proxy's reports until it ends, or a newer stream takes its place."""
        this = object()
        known = False
        async for report in reports:
            if not known:
                node = report.identifier.node
                refusal = self._reader.refusal(node.id, json_format.MessageToDict(node.metadata))
                if refusal is not None:
                    await context.abort(grpc.StatusCode.FAILED_PRECONDITION, refusal)
                known, self._newest = True, this
                self._reader.begun()
            if self._newest is not this:
                break
            self._reader.reported(_counters(report, self._reader.counters), time.monotonic())
        return metrics_pb2.StreamMetricsResponse()


def _counters(report: Any, wanted: Container[str]) -> Counters:
    """Most of a report is looked at by its name only: there are a dozen metrics for each slot in use."""
    for family in report.envoy_metrics:
        name = family.name
        if name in wanted:
            yield name, family.metric[0].counter.value
