"""How a server of the benchmark runs, and is told what to do: JSON objects, a line each, on standard input."""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from api.loop import allow_all_files

PROFILE_FILE = "MSM_BENCH_PROFILE"
"""Names a file in the environment: at its end a server writes a profile (pstats) there, with its process id."""
_LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}

Serve = Callable[[str, int, int], Coroutine[Any, Any, None]]
"""Serves until standard input ends: type URL, a number of resources, port (0: any)."""


def run(serve: Serve, number: str) -> None:
    """A server as a program. `number`: the option that says how many resources."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--type", required=True)
    parser.add_argument(number, type=int, required=True, dest="number")
    parser.add_argument("--loop", choices=_LOOPS, default="uvloop")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    allow_all_files()
    profiler = cProfile.Profile() if PROFILE_FILE in os.environ else None
    if profiler is not None:
        profiler.enable()
    with asyncio.Runner(loop_factory=_LOOPS[options.loop]) as runner:
        runner.run(serve(options.type, options.number, options.port))
    if profiler is not None:
        profiler.dump_stats(f"{os.environ[PROFILE_FILE]}.{os.getpid()}")


async def obey(port: int, change: Callable[[int], None]) -> None:
    """Say which port the server has, then change resources when told so, until the input ends."""
    gc.collect()
    gc.freeze()  # as `msm` does once everything has started
    _say({"port": port})
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        at = time.time_ns()
        if command["do"] == "change":
            await _change(change, command)
        elif command["do"] == "rest":
            gc.collect()
        else:
            raise ValueError(f"unknown command {line!r}")
        _say({"at_ns": at})


async def _change(change: Callable[[int], None], command: dict[str, Any]) -> None:
    for offset in range(command["count"]):
        if offset:
            await asyncio.sleep(command["pace_ms"] / 1000)
        change(command["first"] + offset)


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)
