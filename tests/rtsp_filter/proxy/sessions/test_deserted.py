"""Sessions that no connection speaks for, on a real event loop; how long they live is `test_desertion.py`'s."""

from __future__ import annotations

import asyncio

import pytest

from rtsp_filter.proxy import ProxyLimits
from rtsp_filter.proxy.sessions.deserted import DesertedSessions

# Times to come back: one that a test can wait for, and one that no test waits for.
SHORT = ProxyLimits(session_timeout=1)
LONG = ProxyLimits(session_timeout=1000)


class Place:
    """`ended`: sessions that are over, with the reasons."""

    def __init__(self, limits: ProxyLimits) -> None:
        self.ended: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.sessions = DesertedSessions(limits, lambda session_id, reason: self.ended.put_nowait((session_id, reason)))


async def test_who_does_not_come_back_in_time_is_gone() -> None:
    place = Place(SHORT)
    place.sessions.begin("s", broken=False)
    assert await place.ended.get() == ("s", "the client did not come back")


async def test_who_comes_back_is_not_waited_for_any_more() -> None:
    place = Place(SHORT)
    place.sessions.begin("back", broken=False)
    place.sessions.begin("over", broken=False)
    place.sessions.begin("gone", broken=False)
    place.sessions.resumed("back")
    place.sessions.forget("over")
    assert (await place.ended.get())[0] == "gone"
    assert place.ended.empty()


async def test_a_broken_connection_ends_a_session_whose_receiver_is_not_heard() -> None:
    place = Place(LONG)
    place.sessions.begin("s", broken=True)
    assert place.ended.get_nowait() == ("s", "the client's connection was lost")


async def test_a_session_whose_receiver_was_heard_just_now_survives_a_broken_connection() -> None:
    place = Place(LONG)
    place.sessions.receiver_alive("s")
    place.sessions.begin("s", broken=True)
    assert place.ended.empty()
    place.sessions.forget("s")


async def test_what_was_heard_of_a_session_that_is_over_says_nothing_of_the_next() -> None:
    place = Place(LONG)
    place.sessions.receiver_alive("s")
    place.sessions.forget("s")
    place.sessions.begin("s", broken=True)
    assert not place.ended.empty()


async def test_whoever_is_heard_lives_on_until_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtsp_filter.proxy.sessions.desertion.RECEIVER_LAG", 0.0)
    loop = asyncio.get_running_loop()
    place = Place(SHORT)
    place.sessions.begin("s", broken=False)
    place.sessions.receiver_alive("s")
    heard = loop.time()
    assert await place.ended.get() == ("s", "its client has no connection, and its receiver is not heard any more")
    assert loop.time() - heard >= SHORT.session_timeout
