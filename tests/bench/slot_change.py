"""How long a slot takes to change in a real Envoy, how long Envoy takes to get its slots, and what they weigh."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import uvloop

from rtsp_filter.relays import Receiver, RelayClient
from tests.bench.figures import Comparison, Figure, Goal, Result, percentile
from tests.bench.grpc_echo import round_trips_ms
from tests.bench.media_plane import HOST, WORKERS, MediaPlane, media_plane
from tests.bench.proc import memory_bytes

GOAL_P99_MS = 5.0
_SLOTS, _FEW_SLOTS = 1000, 100
_RECEIVER = Receiver(address=HOST, rtp_port=50_000, rtcp_port=50_001)
# Between a change and the next: Envoy's workers take over what its main thread has acknowledged.
_PAUSE_SECONDS = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """An Envoy that has taken all its slots: after how many seconds, and its bytes then."""

    seconds: float
    memory: int

    @classmethod
    def of(cls, plane: MediaPlane) -> _Loaded:
        return cls(seconds=plane.start_seconds, memory=memory_bytes(plane.envoy))


def run(quick: bool) -> Result:
    """Slots opened and closed one after the other, with all of them warm."""
    changes = 100 if quick else 1000
    few, many, changed, echoed = uvloop.run(_measure(changes))
    slots = _SLOTS - _FEW_SLOTS
    return Result(
        name="slot",
        title="Change of a slot",
        method=(
            f"{changes} relays opened and closed one after the other on an Envoy with {_SLOTS} warm slots and"
            f" {WORKERS} workers: milliseconds from the RTSP proxy's request to the answer that Envoy has acknowledged"
            " it, both hops of the relay stream included. There is no direct counterpart; set against it is a round"
            " trip on a bare gRPC stream in the same process. Start and memory: from Envoy's start until it has"
            f" acknowledged every slot, and its memory then, by slot, as the difference of {_SLOTS} and {_FEW_SLOTS}"
            " slots."
        ),
        figures=(
            *(
                Figure(
                    what=f"Open to acknowledged, p{share}",
                    unit="ms",
                    direct=percentile(echoed, share),
                    mesh=percentile(changed, share),
                    comparison=Comparison.DIFFERENCE,
                    goal=Goal(at_most=GOAL_P99_MS) if share == 99 else None,
                )
                for share in (50, 99)
            ),
            Figure(what=f"Envoy takes {_SLOTS} slots, a few at a time, from its start", unit="s", mesh=many.seconds),
            Figure(what="Envoy's time by slot", unit="ms", mesh=(many.seconds - few.seconds) / slots * 1e3),
            Figure(what="Envoy's memory by slot", unit="KB", mesh=(many.memory - few.memory) / slots / 1e3),
        ),
    )


async def _measure(changes: int) -> tuple[_Loaded, _Loaded, list[float], list[float]]:
    async with media_plane(_FEW_SLOTS) as plane:
        few = _Loaded.of(plane)
    async with media_plane(_SLOTS) as plane:
        many = _Loaded.of(plane)
        changed = [await _change_ms(plane.relays) for _ in range(changes)]
    return few, many, changed, await round_trips_ms(changes)


async def _change_ms(relays: RelayClient) -> float:
    start = time.perf_counter()
    relay = relays.open("bench", "video", _RECEIVER)
    await relay.ready
    elapsed = time.perf_counter() - start
    relays.close([relay.relay_id], sender_stopped=True)
    await asyncio.sleep(_PAUSE_SECONDS)
    return elapsed * 1000
