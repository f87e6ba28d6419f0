"""How long the endpoint of a slot takes to change in a real Envoy that has thousands of slots and is never idle."""

from __future__ import annotations

import asyncio
import time
from collections import deque

import uvloop

from rtsp_filter.relays import Receiver, RelayClient
from tests.bench.figures import Figure, Goal, Result, percentile
from tests.bench.media_plane import HOST, media_plane
from tests.bench.proc import memory_bytes

GOAL_P99_MS = 10.0
CHANGES_PER_SECOND = 200.0
_SLOTS, _QUICK_SLOTS = 5_000, 200
# One worker: a listener has a socket on each, and two workers would need more files than many systems allow.
_WORKERS = 1
_SECONDS, _QUICK_SECONDS = 15.0, 2.0
_RECEIVER = Receiver(address=HOST, rtp_port=50_000, rtcp_port=50_001)


def run(quick: bool) -> Result:
    """Relays opened and closed at a steady rate."""
    slots, seconds = (_QUICK_SLOTS, _QUICK_SECONDS) if quick else (_SLOTS, _SECONDS)
    times, started, memory = uvloop.run(_measure(slots, seconds))
    return Result(
        name="slots",
        title=f"xDS: {slots:,} slots on one Envoy",
        method=(
            f"{CHANGES_PER_SECOND:g} changes of endpoints a second for {seconds:g} s, every other one the opening of a"
            f" relay, which is timed: from the RTSP proxy's request to the answer that Envoy ({_WORKERS} worker) has"
            " acknowledged the endpoint, both hops of the relay stream included. Control plane, RTSP proxy's end and"
            " Envoy share the machine."
        ),
        figures=(
            Figure(what="Endpoint change to acknowledgement, p50", unit="ms", mesh=percentile(times, 50)),
            Figure(
                what="Endpoint change to acknowledgement, p99",
                unit="ms",
                mesh=percentile(times, 99),
                goal=Goal(at_most=GOAL_P99_MS),
            ),
            Figure(what=f"Envoy takes {slots:,} slots, from its start", unit="s", mesh=started),
            Figure(what="Envoy's memory", unit="MB", mesh=memory / 1e6),
        ),
    )


async def _measure(slots: int, seconds: float) -> tuple[list[float], float, int]:
    async with media_plane(slots, workers=_WORKERS) as plane:
        memory = memory_bytes(plane.envoy)
        changes = int(seconds * CHANGES_PER_SECOND)
        return await _change(plane.relays, changes), plane.start_seconds, memory


async def _change(relays: RelayClient, changes: int) -> list[float]:
    times: list[float] = []
    opened: deque[str] = deque()

    async def open_relay() -> None:
        start = time.perf_counter()
        relay = relays.open("bench", "video", _RECEIVER)
        await relay.ready
        times.append((time.perf_counter() - start) * 1000)
        opened.append(relay.relay_id)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(changes):
            await asyncio.sleep(begin + number / CHANGES_PER_SECOND - time.perf_counter())
            if number % 2 == 0:
                group.create_task(open_relay())
            elif opened:
                relays.close([opened.popleft()], sender_stopped=True)
    return times
