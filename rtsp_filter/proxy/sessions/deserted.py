"""Sessions that no connection speaks for: they wait for their clients, or live on by their receivers' reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from rtsp_filter.proxy.limits import ProxyLimits
from rtsp_filter.proxy.sessions.desertion import Desertion

log = structlog.get_logger()


class DesertedSessions:
    """`over(session_id, reason)` hears of each that is not to wait any longer. Needs a running event loop, but to be
    made."""

    def __init__(self, limits: ProxyLimits, over: Callable[[str, str], object]) -> None:
        self._limits = limits
        self._over = over
        self._desertions: dict[str, tuple[Desertion, asyncio.TimerHandle]] = {}
        self._heard: dict[str, float] = {}

    def begin(self, session_id: str, *, broken: bool) -> None:
        """The last connection of a session is lost; `broken`: by the network, so that nobody is left who could resume
        it, unless the receiver was heard just now."""
        now = asyncio.get_running_loop().time()
        grace = self._limits.resume_grace
        if broken and now - self._heard.get(session_id, -grace) >= grace:
            self._over(session_id, "the client's connection was lost")
        else:
            self._wait(session_id, Desertion(now=now, grace=grace, timeout=self._limits.session_timeout))

    def handed(self, session_id: str) -> None:
        """The session came from another proxy: its client has the time of a session to come too, or to be heard."""
        now, timeout = asyncio.get_running_loop().time(), self._limits.session_timeout
        self._wait(session_id, Desertion(now=now, grace=timeout, timeout=timeout))

    def resumed(self, session_id: str) -> None:
        """A connection speaks for the session again."""
        known = self._desertions.pop(session_id, None)
        if known is not None:
            known[1].cancel()

    def forget(self, session_id: str) -> None:
        """The session is over."""
        self.resumed(session_id)
        self._heard.pop(session_id, None)

    def receiver_alive(self, session_id: str) -> None:
        """A receiver report of the session's client has come."""
        now = self._heard[session_id] = asyncio.get_running_loop().time()
        known = self._desertions.get(session_id)
        if known is not None:
            desertion = known[0]
            unheard = not desertion.heard
            desertion.receiver_alive(now)
            if unheard and desertion.heard:
                log.info("a session goes on without a connection: its receiver is heard", session=session_id)

    def _wait(self, session_id: str, desertion: Desertion) -> None:
        timer = asyncio.get_running_loop().call_at(desertion.deadline, self._due, session_id)
        self._desertions[session_id] = desertion, timer

    def _due(self, session_id: str) -> None:
        desertion, timer = self._desertions.pop(session_id)
        if timer.when() < desertion.deadline:
            self._wait(session_id, desertion)
        elif desertion.heard:
            self._over(session_id, "its client has no connection, and its receiver is not heard any more")
        else:
            self._over(session_id, "the client did not come back")
