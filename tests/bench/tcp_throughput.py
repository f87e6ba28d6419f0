"""How fast interleaved media goes through the RTSP proxy, and what it costs, against a direct connection."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rtsp_filter.player import PlayTransport
from tests.bench.camera import load_camera
from tests.bench.client import Client
from tests.bench.figures import Comparison, Figure, Goal, Result, median
from tests.bench.mesh import running_mesh
from tests.bench.proc import cpu_seconds

GOAL_GBIT = 2.0
# Until the connection's window has opened and the process is warm.
_WARM_UP_SECONDS = 0.3
_SLOTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Gbit/s of one run, by the clock and by processor seconds of the process in between."""

    by_clock: float
    by_processor: float = 0.0


def run(quick: bool) -> Result:
    """One session at full speed, direct and through the mesh in turn."""
    rounds, seconds = (1, 0.4) if quick else (8, 2.0)
    direct, mesh = [], []
    with load_camera() as (url, _), running_mesh(url, slots=_SLOTS) as running:
        for _ in range(rounds):
            direct.append(_measure(url, None, seconds))
            mesh.append(_measure(running.url, running.pid, seconds))
    return Result(
        name="tcp",
        title="Interleaved TCP throughput",
        method=(
            "One session whose camera writes frames of 1,400 bytes as fast as the connection takes them, read by a"
            f" player that only counts; {rounds} runs of {seconds:g} s each way, alternating; medians. Gbit/s a core:"
            " bits by processor seconds of the proxy's process, kernel included. By the clock, camera, proxy and"
            " player share the machine's processors, so there the ratio says more about the machine than the proxy."
        ),
        figures=(
            Figure(
                what="Through the RTSP proxy, by its processor time",
                unit="Gbit/s a core",
                mesh=median([each.by_processor for each in mesh]),
                goal=Goal(at_least=GOAL_GBIT),
            ),
            Figure(
                what="By the clock, everything on this machine",
                unit="Gbit/s",
                direct=median([each.by_clock for each in direct]),
                mesh=median([each.by_clock for each in mesh]),
                comparison=Comparison.RATIO,
            ),
        ),
    )


def _measure(url: str, pid: int | None, seconds: float) -> _Run:
    with Client(url, PlayTransport.TCP) as client:
        client.play()
        _count(client, _WARM_UP_SECONDS)
        before = cpu_seconds(pid) if pid is not None else 0.0
        start = time.perf_counter()
        bits = 8 * _count(client, seconds)
        elapsed = time.perf_counter() - start
        spent = cpu_seconds(pid) - before if pid is not None else 0.0
    return _Run(by_clock=bits / elapsed / 1e9, by_processor=bits / spent / 1e9 if spent else 0.0)


def _count(client: Client, seconds: float) -> int:
    received = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        received += client.receive()
    return received
