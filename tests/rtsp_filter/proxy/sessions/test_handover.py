"""Sessions of other proxies that are asked for and come: how many at once, and what becomes of those that cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mesh.wire import relay_pb2
from rtsp_filter.proxy.limits import MAX_CLAIMS, MAX_CLAIMS_PER_CLIENT
from rtsp_filter.proxy.sessions import handover
from rtsp_filter.proxy.sessions.handover import HandoverHost, Handovers

CLIENT = "192.0.2.1"


class Relays:
    """Stands in for the control plane."""

    def __init__(self, *, connected: bool = True) -> None:
        self.connected = connected
        self.claimed: list[tuple[str, str]] = []
        self.closed: list[str] = []
        self.ended: list[str] = []
        self.left: list[str] = []

    def claim_session(self, session_id: str, client_address: str) -> bool:
        if self.connected:
            self.claimed.append((session_id, client_address))
        return self.connected

    def close(self, relay_ids: Collection[str], *, sender_stopped: bool) -> None:
        assert not sender_stopped
        self.closed += relay_ids

    def leave_session(self, session_id: str) -> None:
        self.left.append(session_id)

    def end_session(self, session_id: str, reason: str) -> None:
        self.ended.append(session_id)


class Proxy:
    """A proxy whose routes never come."""

    drains = False

    def __init__(self, *, connected: bool = True) -> None:
        self.relays = Relays(connected=connected)
        self.sessions: dict[str, Any] = {}

    async def routes(self) -> object:
        return await asyncio.get_running_loop().create_future()


def handovers(proxy: Proxy) -> Handovers:
    return Handovers(cast(HandoverHost, proxy))


async def turns(number: int = 20) -> None:
    """Whatever can be done without waiting is done."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_a_session_that_is_here_is_asked_for_nowhere() -> None:
    proxy = Proxy()
    session = proxy.sessions["s"] = SimpleNamespace()
    assert await handovers(proxy).find("s", CLIENT) is session
    assert proxy.relays.claimed == []


async def test_a_session_that_nobody_has_is_not_found() -> None:
    proxy = Proxy()
    sessions = handovers(proxy)
    finding = asyncio.create_task(sessions.find("s", CLIENT))
    await turns()
    assert proxy.relays.claimed == [("s", CLIENT)]
    sessions.on_claim_refused("s")
    assert await finding is None


async def test_without_a_control_plane_no_session_is_found() -> None:
    assert await handovers(Proxy(connected=False)).find("s", CLIENT) is None


async def test_requests_that_name_the_same_session_at_once_ask_once() -> None:
    proxy = Proxy()
    sessions = handovers(proxy)
    finding = [asyncio.create_task(sessions.find("s", CLIENT)) for _ in range(3)]
    await turns()
    assert proxy.relays.claimed == [("s", CLIENT)]
    sessions.on_claim_refused("s")
    assert await asyncio.gather(*finding) == [None] * 3


async def test_a_question_that_is_not_answered_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "CLAIM_TIMEOUT", 0.01)
    assert await handovers(Proxy()).find("s", CLIENT) is None


async def test_one_address_asks_for_few_sessions_at_once_and_the_others_wait_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handover, "CLAIM_PAUSE", 0)
    proxy = Proxy()
    sessions = handovers(proxy)
    wanted = [f"s{number}" for number in range(MAX_CLAIMS_PER_CLIENT + 2)]
    finding = [asyncio.create_task(sessions.find(session_id, CLIENT)) for session_id in wanted]
    await turns()
    assert len(proxy.relays.claimed) == MAX_CLAIMS_PER_CLIENT
    sessions.on_claim_refused("s0")
    await turns()
    assert len(proxy.relays.claimed) == MAX_CLAIMS_PER_CLIENT + 1
    for task in finding:
        task.cancel()
    await asyncio.gather(*finding, return_exceptions=True)
    assert sessions._clients == {}


async def test_all_addresses_together_ask_for_a_bounded_number_at_once() -> None:
    proxy = Proxy()
    sessions = handovers(proxy)
    finding = [asyncio.create_task(sessions.find(f"s{number}", f"client {number}")) for number in range(MAX_CLAIMS + 2)]
    await turns()
    assert len(proxy.relays.claimed) == MAX_CLAIMS
    for task in finding:
        task.cancel()
    await asyncio.gather(*finding, return_exceptions=True)


async def test_who_names_what_is_not_there_keeps_his_place_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "CLAIM_PAUSE", 60)
    proxy = Proxy()
    sessions = handovers(proxy)
    wanted = [f"s{number}" for number in range(MAX_CLAIMS_PER_CLIENT + 1)]
    finding = [asyncio.create_task(sessions.find(session_id, CLIENT)) for session_id in wanted]
    await turns()
    for session_id in wanted:
        sessions.on_claim_refused(session_id)
    await turns()
    assert len(proxy.relays.claimed) == MAX_CLAIMS_PER_CLIENT
    for task in finding:
        task.cancel()
    await asyncio.gather(*finding, return_exceptions=True)


async def test_a_session_that_comes_before_the_routes_do_is_given_up_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handover, "ROUTES_TIMEOUT", 0.01)
    proxy = Proxy()
    sessions = handovers(proxy)
    told = relay_pb2.Session(session_id="s", state=relay_pb2.PLAYING)
    told.continuation.labels = "{}"
    told.continuation.endpoint.transport = "auto"
    sessions.on_session_handed(told, cast(Any, {"r": None}))
    assert await sessions.find("s", CLIENT) is None
    assert proxy.relays.closed == ["r"]
    assert proxy.relays.ended == ["s"]
    assert proxy.relays.claimed == []


async def test_a_session_that_comes_again_right_after_it_was_to_be_left_is_waited_for() -> None:
    proxy = Proxy()
    sessions = handovers(proxy)
    told = relay_pb2.Session(session_id="s", state=relay_pb2.PLAYING)
    sessions.on_session_handed(told, {})
    await turns()
    sessions.on_leave_asked("s")
    sessions.on_session_handed(told, {})
    await turns()
    finding = asyncio.create_task(sessions.find("s", CLIENT))
    await turns()
    assert proxy.relays.claimed == []
    sessions.on_leave_asked("s")
    assert await finding is None
    assert proxy.relays.left == ["s", "s"]


async def test_a_session_that_an_operator_ends_while_it_comes_ends_when_it_is_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handover, "ROUTES_TIMEOUT", 0.01)
    sessions, heard = handovers(Proxy()), []
    sessions.end_asked("elsewhere", lambda: heard.append("elsewhere"))
    sessions.on_session_handed(relay_pb2.Session(session_id="s", state=relay_pb2.PLAYING), {})
    sessions.end_asked("s", lambda: heard.append("s"))
    assert heard == []
    await sessions.find("s", CLIENT)
    await turns()
    assert heard == ["s"]


async def test_a_session_that_comes_to_a_proxy_that_is_about_to_end_is_left_at_once() -> None:
    proxy = Proxy()
    proxy.drains = True
    sessions = handovers(proxy)
    sessions.on_session_handed(relay_pb2.Session(session_id="s"), {})
    assert proxy.relays.left == ["s"]
    assert proxy.relays.ended == []
