"""Runs a command's coroutine on an event loop that SIGINT and SIGTERM end cleanly."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

import uvloop


def run_until_signal(main: Callable[[], Awaitable[int]]) -> int:
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

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(guarded())
