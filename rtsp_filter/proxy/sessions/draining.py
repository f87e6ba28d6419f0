"""How a proxy ends without ending its sessions: it takes nothing new on, and they go on until they are over.

What media over UDP needs of a proxy another one can do. Still, the session stays as long as its client's connection,
since ffmpeg ends with that; without a connection, or when time is up, it is left for another proxy, now or later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

import structlog

from rtsp_filter.proxy.sessions.session import Session
from rtsp_filter.rtsp import RTSPError, StatusCode

log = structlog.get_logger()


class Draining:
    """Of one proxy, whose sessions are `sessions`, by id. Needs a running event loop, but to be made."""

    def __init__(self, sessions: Mapping[str, Session]) -> None:
        self.begun = asyncio.Event()
        self._sessions = sessions
        self._emptied = asyncio.Event()

    def check(self) -> None:
        """Raises RTSPError with 503 when nothing new is taken on."""
        if self.begun.is_set():
            raise RTSPError("this proxy is about to end; ask again", status=StatusCode.SERVICE_UNAVAILABLE)

    def session_ended(self) -> None:
        """A session is over, or has left."""
        if not self._sessions:
            self._emptied.set()

    async def run(self, seconds: float) -> None:
        """Wait until the last session has ended, `seconds` at most; then leave what another proxy can go on with."""
        log.info("draining", sessions=len(self._sessions), seconds=seconds)
        self.begun.set()
        for session in list(self._sessions.values()):
            self.deserted(session)
        if self._sessions:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._emptied.wait()
        for session in list(self._sessions.values()):
            if session.may_leave:
                session.leave("the proxy ends", close_client=True)

    def deserted(self, session: Session) -> bool:
        """Whether a session leaves since no connection speaks for it here."""
        leaves = self.begun.is_set() and session.deserted and session.may_leave
        if leaves:
            session.leave("it has no connection to a proxy that is about to end", close_client=True)
        return leaves
