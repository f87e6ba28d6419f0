"""`msm` with a stopwatch: times the steps of a session's set-up inside the mesh, or profiles the whole process.

Run as `msm` is, with TRACE_FILE or PROFILE_FILE in the environment: at its end it writes milliseconds by step (JSON),
or a profile (pstats).
"""

from __future__ import annotations

import cProfile
import functools
import json
import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from api.cli import main
from rtsp_filter.proxy.cameras.upstream import Upstream
from rtsp_filter.proxy.clients.requests import RequestHandler
from rtsp_filter.relays import RelayClient
from rtsp_filter.rtsp import Request

TRACE_FILE = "MSM_BENCH_TRACE"
PROFILE_FILE = "MSM_BENCH_PROFILE"

_steps: defaultdict[str, list[float]] = defaultdict(list)


def trace() -> None:
    """Put the stopwatch into the RTSP proxy."""
    Upstream.connect = _timed(Upstream.connect, lambda *_, **__: "connect to the camera")  # type: ignore[method-assign]
    Upstream.request = _timed(Upstream.request, _camera_step)  # type: ignore[method-assign]
    RequestHandler.handle = _timed(RequestHandler.handle, _request_step)  # type: ignore[method-assign]
    opened = RelayClient.open

    def open_relay(*arguments: Any) -> Any:
        start = time.perf_counter()
        relay = opened(*arguments)
        relay.allocated.add_done_callback(lambda _: _add("relay allocated", start))
        relay.ready.add_done_callback(lambda _: _add("relay ready (Envoy's ACK)", start))
        return relay

    RelayClient.open = open_relay  # type: ignore[method-assign, assignment]


def _timed(method: Callable[..., Awaitable[Any]], name: Callable[..., str]) -> Any:
    @functools.wraps(method)
    async def timed(*arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return await method(*arguments, **options)
        finally:
            _add(name(*arguments, **options), start)

    return timed


def _camera_step(_: Upstream, method: str, *__: Any, **___: Any) -> str:
    return f"camera answers {method}"


def _request_step(_: RequestHandler, request: Request) -> str:
    return f"proxy handles {request.method}"


def _add(step: str, start: float) -> None:
    _steps[step].append((time.perf_counter() - start) * 1000)


def profile() -> cProfile.Profile:
    """A profile that begins with the first client: how the process started is not of interest."""
    profiler = cProfile.Profile(time.thread_time)
    made = RequestHandler.__init__

    def first_made(*arguments: Any) -> None:
        RequestHandler.__init__ = made  # type: ignore[method-assign]
        profiler.enable()
        made(*arguments)

    RequestHandler.__init__ = first_made  # type: ignore[method-assign, assignment]
    return profiler


def run() -> None:
    """`main`, with what the environment asks for."""
    if TRACE_FILE in os.environ:
        trace()
    profiler = profile() if PROFILE_FILE in os.environ else None
    try:
        main()
    finally:
        if profiler is not None:
            profiler.disable()
            profiler.dump_stats(os.environ[PROFILE_FILE])
        if TRACE_FILE in os.environ:
            Path(os.environ[TRACE_FILE]).write_text(json.dumps(_steps))


if __name__ == "__main__":
    run()
