"""Runs a peer's coroutine on an event loop that SIGINT and SIGTERM end cleanly.

The loop is asyncio's own: its clock counts nanoseconds, where uvloop's counts whole milliseconds, too coarse for a
player that measures jitter and set-up times.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine


def run_until_signal(main: Callable[[], Coroutine[object, object, int]]) -> int:
    """The exit code that `main` gives. A signal cancels it; if it does not catch that, the code is 0."""

    async def guarded() -> int:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            return await main()
        except asyncio.CancelledError:
            return 0

    return asyncio.run(guarded())
