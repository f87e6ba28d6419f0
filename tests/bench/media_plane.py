"""A control plane and a real Envoy with warm slots, without RTSP: relays are opened by the relay client itself."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from api.loop import allow_all_files
from rtsp_filter.relays import RelayClient
from tests.bench.mesh import media_ports
from tests.peers.relay_observer import Nobody
from xds_server.control_plane import ControlPlane, ControlPlaneSettings
from xds_server.envoy import EnvoyProcess, TcpAddress
from xds_server.media import MediaSettings
from xds_server.relays.slots import SlotLayout

HOST = "127.0.0.1"
WORKERS = 2
_START_SECONDS = 120.0
_LOOK_SECONDS = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPlane:
    """`envoy`: its process id; `start_seconds`: from its start until it had acknowledged every slot."""

    relays: RelayClient
    envoy: int
    start_seconds: float


@asynccontextmanager
async def media_plane(slots: int, workers: int = WORKERS) -> AsyncIterator[MediaPlane]:
    """A control plane and an Envoy in which every one of `slots` slots is warm."""
    allow_all_files()
    ports = media_ports(slots)
    layout = SlotLayout(first_port=ports.start, last_port=ports.stop - 1)
    settings = MediaSettings(layout=layout, addresses=(HOST,))
    plane = ControlPlane(ControlPlaneSettings(listen=f"{HOST}:0", media=settings, settle_time=0))
    plane.media.registry.pool.rest(layout.capacity - 1, until=time.monotonic())  # warms all up to this one
    plane.media.flush_resources()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(plane.run())]
        await plane.listening.wait()
        relays = RelayClient(
            f"{HOST}:{plane.port}",
            "bench",
            on_relay_lost=_unexpected,
            on_end_session=_unexpected,
            media=Nobody(),
            sessions=Nobody(),
        )
        envoy = EnvoyProcess(node_id="envoy", workers=workers, xds=TcpAddress(host=HOST, port=plane.port))
        start = time.perf_counter()
        tasks += [group.create_task(envoy.run()), group.create_task(relays.run())]
        async with asyncio.timeout(_START_SECONDS):
            while not (relays.connected and all(plane.media.acknowledged(slot) for slot in range(slots))):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_SECONDS)
        assert envoy.pid is not None
        gc.collect()
        gc.freeze()  # as `msm` does once everything has started
        yield MediaPlane(relays=relays, envoy=envoy.pid, start_seconds=time.perf_counter() - start)
        for task in tasks:
            task.cancel()


def _unexpected(*told: str) -> None:
    raise RuntimeError(": ".join(told))
