"""Keeps an incremental ADS stream to the control plane open and hands out the latest state."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any

import grpc
import structlog
from envoy.service.discovery.v3 import ads_pb2_grpc

from rtsp_filter.backoff import Backoff
from rtsp_filter.xds.core import XdsCore, XdsState, accept_everything

MAX_RESPONSE_BYTES = 64 << 20
"""The largest response that we read; our own server sends 2 MiB at most unless one resource is larger."""
PING_SECONDS = 10
PING_TIMEOUT_SECONDS = 5
"""A control plane that vanished without a word is noticed within the sum of both."""
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
    ("grpc.keepalive_time_ms", PING_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", PING_TIMEOUT_SECONDS * 1000),
    # Every attempt connects afresh, so that gRPC's own waiting does not come on top of ours.
    ("grpc.use_local_subchannel_pool", 1),
)

_log = structlog.get_logger(__name__)


class XdsClient:
    """The xDS client of one RTSP proxy.

    target: host:port of the control plane.
    on_update: called with the new state whenever it changed; it must not block.
    check: called with every new message; raises ResourceRefusedError for one that cannot be used.
    """

    def __init__(
        self,
        target: str,
        *,
        node_id: str,
        cluster: str,
        on_update: Callable[[XdsState], None],
        route_name: str = "rtsp",
        check: Callable[[Any], None] = accept_everything,
    ) -> None:
        self._target = target
        self._on_update = on_update
        self._core = XdsCore(node_id=node_id, cluster=cluster, route_name=route_name, check=check)
        self._backoff = Backoff()
        self._connected = False
        self._complaint = ""

    @property
    def state(self) -> XdsState:
        """The last good state; it outlives the connection."""
        return self._core.state

    @property
    def connected(self) -> bool:
        """Has the present stream been answered?"""
        return self._connected

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            try:
                await self._follow_one_stream()
                reason = "the control plane ended the stream"
            except grpc.aio.AioRpcError as error:
                reason = f"{error.code().name}: {error.details()}"
            finally:
                self._connected = False
            self._complain(reason)
            await asyncio.sleep(self._backoff.next_delay(random.random()))

    def _complain(self, reason: str) -> None:
        """Say why there is no stream; once, and again when the reason is another."""
        if reason != self._complaint:
            self._complaint = reason
            _log.warning("xds stream lost, trying again", target=self._target, reason=reason)

    async def _follow_one_stream(self) -> None:
        async with grpc.aio.insecure_channel(self._target, options=_OPTIONS) as channel:
            call = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources()
            await _send(call, self._core.connect())
            while (response := await call.read()) is not grpc.aio.EOF:
                self._connected = True
                self._complaint = ""
                self._backoff.reset()
                await self._take(call, response)

    async def _take(self, call: Any, response: Any) -> None:
        before = self._core.state
        requests = self._core.receive(response)
        for request in requests:
            if request.HasField("error_detail"):
                _log.warning("xds response refused", type=request.type_url, reason=request.error_detail.message)
        await _send(call, requests)
        if self._core.state is not before:
            self._on_update(self._core.state)


async def _send(call: Any, requests: list[Any]) -> None:
    """Write to the stream; where it has ended meanwhile, the next read says how."""
    with contextlib.suppress(asyncio.InvalidStateError):
        for request in requests:
            await call.write(request)
