"""Runs a command's coroutine on an event loop that SIGINT and SIGTERM end cleanly, with all the files it may have."""

from __future__ import annotations

import asyncio
import resource
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

    allow_all_files()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(guarded())


async def until_terminated() -> None:
    """Wait for SIGTERM, in a command's coroutine: the first one cancels nothing, any other does."""
    loop, task, asked = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, asked.set)
    try:
        await asked.wait()
    finally:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)


def allow_all_files() -> int:
    """Raise this process's limit of open files, and that of the processes it starts, as far as it may; gives the limit.

    The usual soft limit of 1,024 is for programs that use select(); a connection is a file.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
