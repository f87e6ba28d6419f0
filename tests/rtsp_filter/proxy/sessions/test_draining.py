"""A proxy that is about to end: what stays, what leaves, and when."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from rtsp_filter.proxy.sessions.draining import Draining
from rtsp_filter.proxy.sessions.session import Session
from rtsp_filter.rtsp import RTSPError


class Standing:
    """Stands in for a session."""

    def __init__(self, sessions: dict[str, Session], name: str, *, deserted: bool = False, may_leave: bool = True):
        self.deserted, self.may_leave = deserted, may_leave
        self._sessions, self._name = sessions, name
        sessions[name] = cast(Session, self)

    def leave(self, reason: str, *, close_client: bool) -> None:
        del self._sessions[self._name]


async def test_nothing_new_is_taken_on() -> None:
    draining = Draining({})
    draining.check()
    await draining.run(60)
    with pytest.raises(RTSPError) as refused:
        draining.check()
    assert refused.value.status == 503


async def test_sessions_without_a_connection_leave_at_once_and_others_when_theirs_is_gone() -> None:
    sessions: dict[str, Session] = {}
    draining = Draining(sessions)
    Standing(sessions, "deserted", deserted=True)
    stays = Standing(sessions, "stays")
    assert not draining.deserted(cast(Session, stays))
    running = asyncio.create_task(draining.run(60))
    await draining.begun.wait()
    assert list(sessions) == ["stays"]
    assert not draining.deserted(cast(Session, stays))
    stays.deserted = True
    assert draining.deserted(cast(Session, stays))
    draining.session_ended()
    await running


async def test_when_time_is_up_all_leave_that_may() -> None:
    sessions: dict[str, Session] = {}
    Standing(sessions, "udp")
    Standing(sessions, "tcp", may_leave=False)
    await Draining(sessions).run(0.01)
    assert list(sessions) == ["tcp"]
