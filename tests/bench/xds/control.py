"""How a server of the benchmark is told what to do: JSON objects, a line each, on standard input and output."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any


async def obey(change: Callable[[int], None]) -> None:
    """Change resources when told so, until the input ends."""
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
        say({"at_ns": at})


async def _change(change: Callable[[int], None], command: dict[str, Any]) -> None:
    for offset in range(command["count"]):
        if offset:
            await asyncio.sleep(command["pace_ms"] / 1000)
        change(command["first"] + offset)


def say(answer: dict[str, Any]) -> None:
    """One answer."""
    print(json.dumps(answer), flush=True)
