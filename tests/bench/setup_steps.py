"""Where the time of a session's set-up goes: each request as the player sees it, and the steps inside the mesh."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rtsp_filter.player import PlayTransport
from tests.bench.client import Client
from tests.bench.figures import Comparison, Figure, Result, median, percentile
from tests.bench.mesh import bundled_camera, running_mesh
from tests.bench.traced_msm import TRACE_FILE

_WARM_UP = 5
_SLOTS = 1024

Steps = dict[str, float]


def run(quick: bool) -> Result:
    """Sessions in sequence, every other one direct, with a stopwatch at both ends."""
    pairs = 20 if quick else 200
    figures: list[Figure] = []
    for transport in PlayTransport:
        measured, inside = _measure(transport, pairs)
        figures += _requests(transport, measured)
        if transport is PlayTransport.UDP:
            figures += _inside(inside)
    return Result(
        name="steps",
        title="Set-up time, step by step",
        method=(
            f"{pairs} pairs of sessions as above, by a blocking client that times each request, and a mesh that times"
            " its own steps: medians, and for the overhead the median of the differences of the pairs. The proxy"
            " connects to the camera at DESCRIBE. A SETUP over UDP waits for the camera; PLAY waits for Envoy's"
            " acknowledgement (relay ready), which is on its way since SETUP."
        ),
        figures=tuple(figures),
    )


def _measure(transport: PlayTransport, pairs: int) -> tuple[list[tuple[Steps, Steps]], dict[str, list[float]]]:
    with tempfile.TemporaryDirectory(prefix="msm-bench-") as folder:
        trace = Path(folder) / "trace.json"
        command = (sys.executable, "-m", "tests.bench.traced_msm")
        with (
            bundled_camera() as direct,
            _environment(TRACE_FILE, str(trace)),
            running_mesh(direct, slots=_SLOTS, command=command) as mesh,
        ):
            measured = [(_session(direct, transport), _session(mesh.url, transport)) for _ in range(_WARM_UP + pairs)]
        return measured[_WARM_UP:], json.loads(trace.read_text())


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def _session(url: str, transport: PlayTransport) -> Steps:
    with Client(url, transport) as client:
        client.play()
        steps = dict(client.steps)
        client.teardown()
    return steps


def _requests(transport: PlayTransport, measured: Sequence[tuple[Steps, Steps]]) -> list[Figure]:
    return [
        Figure(
            what=f"{transport.value.upper()}: {step}",
            unit="ms",
            direct=median([direct[step] for direct, _ in measured]),
            mesh=median([mesh[step] for _, mesh in measured]),
            comparison=Comparison.DIFFERENCE,
            compared=median([mesh[step] - direct[step] for direct, mesh in measured]),
        )
        for step in measured[0][0]
    ]


def _inside(steps: dict[str, list[float]]) -> list[Figure]:
    return [
        Figure(what=f"inside, UDP: {step}, p{share}", unit="ms", mesh=percentile(times, share))
        for step, times in sorted(steps.items())
        for share in (50, 99)
    ]
