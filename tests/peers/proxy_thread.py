"""An RTSP proxy on an event loop of any kind, in a thread of its own; the test has another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from threading import Thread

from rtsp_filter.proxy import ProxySettings, RTSPProxy

START_SECONDS = 10.0


@contextmanager
def running_proxy(settings: ProxySettings, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[RTSPProxy]:
    """A proxy whose control plane does not answer, good for OPTIONS, on an event loop and a thread of its own."""
    started: Future[tuple[RTSPProxy, Callable[[], object]]] = Future()

    async def serve() -> None:
        proxy = RTSPProxy(settings)
        task = asyncio.create_task(proxy.run())
        await proxy.listening.wait()
        loop = asyncio.get_running_loop()
        started.set_result((proxy, lambda: loop.call_soon_threadsafe(task.cancel)))
        with suppress(asyncio.CancelledError):
            await task

    def main() -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(serve())

    thread = Thread(target=main)
    thread.start()
    proxy, stop = started.result(START_SECONDS)
    try:
        yield proxy
    finally:
        stop()
        thread.join()
