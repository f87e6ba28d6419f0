"""Whether a camera that sends over TCP still sends: frames pass this process, so nobody needs to tell it.

What comes over UDP is counted by the media proxy (media_watch.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rtsp_filter.proxy.limits import SILENT_AFTER


class FramesWatch:
    """`heard` says whether anything has come since it was asked last; `silent` hears, once a silence, for how many
    seconds nothing has. Needs a running event loop, but to be made."""

    def __init__(self, heard: Callable[[], bool], silent: Callable[[float], None]) -> None:
        self._heard = heard
        self._silent = silent
        self._told = False
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Media should come from now on."""
        self.stop()
        self._heard()
        self._told = False
        self._wait()

    def stop(self) -> None:
        """Media need not come."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(SILENT_AFTER, self._look)

    def _look(self) -> None:
        self._wait()
        quiet = not self._heard()
        news = quiet and not self._told
        self._told = quiet
        if news:
            self._silent(SILENT_AFTER)
