"""Tells the control plane what has become of endpoints: soon, but at most once a second. The shell of EndpointBook."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from mesh.wire import relay_pb2
from rtsp_filter.relays.endpoint_book import EndpointBook, Look

REPORT_INTERVAL = 1.0
"""Seconds between two reports: what people look at need not be newer, and a burst of sessions is one report."""
_SOON = 0.05
"""Seconds after which the first change is told, with what comes with it."""

Send = Callable[[relay_pb2.EndpointReport], None]


class EndpointReporter:
    """Needs a running event loop, but to be made. `book` is where things are counted."""

    def __init__(self, look: Look, send: Send) -> None:
        self.book = EndpointBook(self._changed)
        self._look = look
        self._send = send
        self._timer: asyncio.TimerHandle | None = None
        self._told_at = 0.0

    def stated(self) -> list[relay_pb2.EndpointReport]:
        """All that there is to tell, for a stream that begins."""
        return self.book.all(self._look, epoch=_epoch())

    def _changed(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            at = max(loop.time() + _SOON, self._told_at + REPORT_INTERVAL)
            self._timer = loop.call_at(at, self._tell)

    def _tell(self) -> None:
        self._timer = None
        self._told_at = asyncio.get_running_loop().time()
        for report in self.book.changes(self._look, epoch=_epoch()):
            self._send(report)


def _epoch() -> float:
    """The loop's time 0 in seconds since 1970."""
    return time.time() - asyncio.get_running_loop().time()
