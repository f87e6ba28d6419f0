"""Sessions that change hands: they have one owner, with their relays, and none is lost while anybody could have it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.wire import relay_pb2
from xds_server.relays.registry import LOST_PROXY_GRACE, RelayRegistry
from xds_server.relays.relay import Receiver, Relay, RelayState
from xds_server.relays.sessions import (
    HANDOVER_DELAY,
    LEAVE_TIMEOUT,
    NOBODY,
    Handed,
    Leave,
    Refused,
    SessionMessage,
    SessionRegistry,
)
from xds_server.relays.slots import SlotPool

CLIENT = "192.0.2.1"


@dataclass(slots=True, kw_only=True)
class Proxy:
    """What an RTSP proxy holds and would state, and what is on its way to it."""

    name: str
    instance: str = "1"
    connected: bool = False
    draining: bool = False
    sessions: dict[str, relay_pb2.Session] = field(default_factory=dict)
    inbox: list[SessionMessage] = field(default_factory=list)


class World:
    """Both registries and some proxies; messages wait until they are delivered."""

    def __init__(self) -> None:
        pool = SlotPool(64, now=0.0)
        for slot in range(pool.size):
            pool.listens(slot)
        self.relays = RelayRegistry(pool, lambda slot: True, now=0.0, settle_time=0.0)
        self.registry = SessionRegistry(self.relays)
        self.proxies = {name: Proxy(name=name) for name in "abc"}
        self.now = 0.0
        self.count = 0

    def connect(self, name: str) -> None:
        proxy = self.proxies[name]
        if proxy.connected:
            return
        state = relay_pb2.State(
            node_id=name, instance=proxy.instance, sessions=proxy.sessions.values(), draining=proxy.draining
        )
        others = self.registry.state(state, self.now)
        held = {
            way.relay_id: (held_relay, held_relay.slot)
            for session in proxy.sessions.values()
            if session.session_id not in others
            for way in session.continuation.ways
            if (held_relay := self.relays.relays.get(way.relay_id)) is not None and held_relay.slot is not None
        }
        proxy.connected, proxy.inbox = True, []
        self.relays.state(name, held, self.now)
        self.registry.proxy_connected(name)

    def lose(self, name: str) -> None:
        proxy = self.proxies[name]
        if proxy.connected:
            proxy.connected, proxy.inbox = False, []
            self.relays.proxy_lost(name, self.now)
            self.registry.proxy_lost(name, self.now)

    def kill(self, name: str) -> None:
        proxy = self.proxies[name]
        self.lose(name)
        proxy.instance += "1"
        proxy.draining = False
        proxy.sessions.clear()

    def begin(self, name: str, *, resumable: bool = True) -> str:
        """A session that plays, with one relay."""
        self.count += 1
        session_id, relay_id = f"s{self.count}", f"r{self.count}"
        self.relays.open(relay(relay_id, session_id, name), self.now)
        self.relays.slots_acknowledged(range(64))
        told = relay_pb2.Session(session_id=session_id, client_address=CLIENT)
        if resumable:
            told.continuation.ways.add(relay_id=relay_id)
        self.proxies[name].sessions[session_id] = told
        self.registry.keep(name, told)
        return session_id

    def end(self, name: str, session_id: str) -> None:
        told = self.proxies[name].sessions.pop(session_id)
        for way in told.continuation.ways:
            self.relays.close(name, way.relay_id, sender_stopped=True, now=self.now)
        self.registry.ended(name, session_id)

    def leave(self, name: str, session_id: str) -> None:
        del self.proxies[name].sessions[session_id]
        self.registry.left(name, session_id, self.now)

    def drain(self, name: str) -> None:
        self.proxies[name].draining = True
        self.registry.proxy_drains(name)
        for session_id in list(self.proxies[name].sessions):
            self.leave(name, session_id)

    def claim(self, name: str, session_id: str, address: str = CLIENT) -> None:
        self.registry.claim(name, session_id, address, self.now)

    def advance(self, seconds: float) -> None:
        """Time goes by, timer by timer."""
        end = self.now + seconds
        while (due := self.registry.next_timer()) is not None and due <= end:
            self.now = max(self.now, due)
            self.registry.tick(self.now)
        self.now = end
        self.relays.tick(self.now)
        for owner in self.relays.take_departed():
            self.registry.proxy_departed(owner)

    def send(self) -> None:
        """What is to be told is on its way; to whom is not connected, it is lost."""
        for owner, message in self.registry.take_messages():
            if self.proxies[owner].connected:
                self.proxies[owner].inbox.append(message)

    def deliver(self, name: str) -> SessionMessage | None:
        """One message arrives, and is done."""
        self.send()
        proxy = self.proxies[name]
        if not proxy.inbox:
            return None
        message = proxy.inbox.pop(0)
        if isinstance(message, Handed):
            proxy.sessions[message.session.session_id] = message.session
            self.registry.keep(name, message.session)
        elif isinstance(message, Leave) and message.session_id in proxy.sessions:
            self.leave(name, message.session_id)
        return message

    def settle(self) -> None:
        """Everything that is on its way arrives."""
        while sum(self.deliver(name) is not None for name in self.proxies):
            pass

    def owner(self, session_id: str) -> str | None:
        return self.registry.owners.get(session_id)

    def holders(self, session_id: str) -> list[str]:
        return [proxy.name for proxy in self.proxies.values() if session_id in proxy.sessions]


def relay(relay_id: str, session_id: str, owner: str) -> Relay:
    return Relay(
        relay_id=relay_id,
        session_id=session_id,
        media="video",
        receiver=Receiver(address=CLIENT, rtp_port=5000, rtcp_port=5001),
        owner=owner,
        state=RelayState.WAITING,
        deadline=math.inf,
    )


def world(*connected: str) -> World:
    made = World()
    for name in connected:
        made.connect(name)
    return made


def test_sessions_of_a_proxy_that_stays_away_are_handed_over_with_their_relays() -> None:
    mesh = world("a", "b")
    session_id = mesh.begin("a")
    mesh.kill("a")
    mesh.advance(HANDOVER_DELAY - 0.1)
    assert mesh.owner(session_id) == "a"
    mesh.advance(0.2)
    assert mesh.owner(session_id) == "b"
    [(to, message)] = mesh.registry.take_messages()
    assert to == "b"
    assert isinstance(message, Handed)
    assert [(each.relay_id, each.owner) for each in message.relays] == [("r1", "b")]


def test_a_session_that_has_lost_a_relay_is_given_to_nobody() -> None:
    mesh = world("a", "b")
    waiting, claimed = mesh.begin("a"), mesh.begin("a")
    mesh.claim("b", claimed)
    mesh.drain("a")  # leaves both; nobody else than b is there
    mesh.settle()
    assert mesh.owner(waiting) == "b"
    mesh.lose("b")
    other = mesh.begin("a")
    mesh.registry.proxy_drains("a")
    mesh.proxies["b"].sessions.clear()
    mesh.advance(HANDOVER_DELAY)
    assert mesh.owner(waiting) == NOBODY
    mesh.relays.close(NOBODY, "r1", sender_stopped=False, now=mesh.now)
    mesh.connect("c")
    mesh.send()
    handed = [each.session.session_id for each in mesh.proxies["c"].inbox if isinstance(each, Handed)]
    assert handed == [claimed]
    mesh.claim("c", other)
    mesh.relays.close("a", "r3", sender_stopped=False, now=mesh.now)
    mesh.advance(LEAVE_TIMEOUT)
    mesh.send()
    assert mesh.proxies["c"].inbox[-1] == Refused(session_id=other)
    mesh.advance(LOST_PROXY_GRACE)
    assert mesh.owner(waiting) is None


def test_a_session_whose_last_track_nobody_has_been_told_of_is_not_gone_on_with_by_halves() -> None:
    mesh = world("a", "b")
    whole, half = mesh.begin("a"), mesh.begin("a")
    mesh.relays.open(relay("second", half, "a"), mesh.now)
    mesh.kill("a")
    mesh.advance(HANDOVER_DELAY)
    assert (mesh.owner(whole), mesh.owner(half)) == ("b", "a")
    mesh.connect("a")
    assert mesh.owner(half) is None
    assert "second" not in mesh.relays.relays


def test_a_session_that_ends_while_it_is_claimed_is_refused() -> None:
    mesh = world("a", "b")
    session_id = mesh.begin("a")
    mesh.claim("b", session_id)
    mesh.end("a", session_id)
    mesh.advance(LEAVE_TIMEOUT)
    mesh.send()
    assert mesh.proxies["b"].inbox == [Refused(session_id=session_id)]


def test_a_proxy_that_only_lost_its_stream_keeps_its_sessions() -> None:
    mesh = world("a", "b")
    session_id = mesh.begin("a")
    mesh.lose("a")
    mesh.advance(1.0)
    mesh.connect("a")
    mesh.advance(2 * HANDOVER_DELAY)
    assert mesh.owner(session_id) == "a"
    assert mesh.registry.take_messages() == []


def test_a_proxy_that_comes_back_too_late_is_told_to_leave_what_others_have() -> None:
    mesh = world("a", "b")
    session_id = mesh.begin("a")
    mesh.lose("a")
    mesh.advance(2 * HANDOVER_DELAY)
    mesh.settle()
    mesh.connect("a")
    mesh.settle()
    assert mesh.owner(session_id) == "b"
    assert mesh.holders(session_id) == ["b"]
    assert mesh.relays.relays["r1"].owner == "b"


def test_a_proxy_that_comes_back_is_told_to_leave_what_has_ended_elsewhere() -> None:
    mesh = world("a", "b")
    session_id = mesh.begin("a")
    mesh.lose("a")
    mesh.advance(2 * HANDOVER_DELAY)
    mesh.settle()
    mesh.end("b", session_id)
    mesh.connect("a")
    mesh.lose("a")  # and has not heard of it
    mesh.connect("a")
    mesh.registry.keep("a", mesh.proxies["a"].sessions[session_id])
    assert mesh.owner(session_id) is None
    assert "r1" not in mesh.relays.relays
    mesh.settle()
    assert mesh.holders(session_id) == []
    assert mesh.owner(session_id) is None


def test_what_a_proxy_did_not_leave_in_time_and_has_ended_since_is_not_its_own_again() -> None:
    mesh = world("a", "b")
    session_id = mesh.begin("a")
    mesh.claim("b", session_id)
    mesh.advance(LEAVE_TIMEOUT)
    mesh.deliver("b")
    mesh.lose("a")
    mesh.end("b", session_id)
    mesh.connect("a")
    assert mesh.owner(session_id) is None
    mesh.settle()
    assert mesh.holders(session_id) == []


def test_who_took_a_session_back_and_ended_it_has_the_last_word() -> None:
    mesh = world("a", "b")
    session_id = mesh.begin("a")
    mesh.lose("a")
    mesh.advance(2 * HANDOVER_DELAY)
    mesh.settle()
    mesh.lose("b")
    mesh.connect("a")
    assert mesh.owner(session_id) == "a"
    mesh.end("a", session_id)
    mesh.connect("b")
    mesh.settle()
    assert mesh.owner(session_id) is None
    assert mesh.holders(session_id) == []


def test_a_proxy_that_comes_back_finds_what_nobody_could_have_as_it_left_it() -> None:
    mesh = world("a")
    session_id = mesh.begin("a")
    mesh.lose("a")
    mesh.advance(2 * HANDOVER_DELAY)
    assert mesh.owner(session_id) == NOBODY
    mesh.connect("a")
    assert mesh.owner(session_id) == "a"
    assert mesh.relays.relays["r1"].owner == "a"
    assert mesh.registry.take_messages() == []


def test_a_new_process_under_an_old_name_gets_the_sessions_of_the_old_one() -> None:
    mesh = world("a")
    session_id = mesh.begin("a")
    mesh.kill("a")
    mesh.connect("a")
    mesh.settle()
    assert mesh.holders(session_id) == ["a"]
    assert mesh.relays.relays["r1"].owner == "a"


def test_sessions_that_no_proxy_takes_are_released_in_the_end() -> None:
    mesh = world("a")
    session_id = mesh.begin("a")
    mesh.kill("a")
    mesh.advance(LOST_PROXY_GRACE + HANDOVER_DELAY - 0.1)
    assert mesh.owner(session_id) == NOBODY
    mesh.advance(0.2)
    assert mesh.owner(session_id) is None
    assert mesh.relays.relays == {}


def test_sessions_that_need_their_proxy_are_not_handed_over() -> None:
    mesh = world("a", "b")
    session_id = mesh.begin("a", resumable=False)
    mesh.kill("a")
    mesh.advance(2 * HANDOVER_DELAY)
    assert mesh.owner(session_id) == "a"
    mesh.connect("a")
    assert mesh.owner(session_id) is None
    assert mesh.relays.relays == {}


def test_sessions_go_to_the_proxies_that_have_the_fewest() -> None:
    mesh = world("a", "b", "c")
    for _ in range(4):
        mesh.begin("a")
    mesh.begin("b")
    mesh.begin("b")
    mesh.kill("a")
    mesh.advance(2 * HANDOVER_DELAY)
    assert sorted(mesh.registry.owners.values()) == ["b", "b", "b", "c", "c", "c"]


def test_a_claim_asks_the_owner_to_leave_first() -> None:
    mesh = world("a", "b")
    session_id = mesh.begin("a")
    mesh.claim("b", session_id)
    assert mesh.registry.take_messages() == [("a", Leave(session_id=session_id))]
    mesh.leave("a", session_id)
    assert mesh.owner(session_id) == "b"
    mesh.settle()
    assert mesh.holders(session_id) == ["b"]


def test_an_owner_that_does_not_leave_in_time_has_lost_the_session() -> None:
    mesh = world("a", "b")
    session_id = mesh.begin("a")
    mesh.claim("b", session_id)
    mesh.advance(LEAVE_TIMEOUT)
    assert mesh.owner(session_id) == "b"
    mesh.leave("a", session_id)
    mesh.registry.ended("a", session_id)
    mesh.relays.close("a", "r1", sender_stopped=True, now=mesh.now)
    assert mesh.owner(session_id) == "b"
    assert mesh.relays.relays["r1"].owner == "b"


def test_what_is_claimed_of_a_lost_proxy_is_handed_over_at_once() -> None:
    mesh = world("a", "b")
    session_id = mesh.begin("a")
    mesh.kill("a")
    mesh.claim("b", session_id)
    assert mesh.owner(session_id) == "b"


@pytest.mark.parametrize("wrong", ["client", "id", "own", "tcp", "twice", "draining"])
def test_claims_that_are_refused(wrong: str) -> None:
    mesh = world("a", "b", "c")
    session_id = mesh.begin("a", resumable=wrong != "tcp")
    if wrong == "twice":
        mesh.claim("c", session_id)
    if wrong == "draining":
        mesh.drain("b")
    mesh.registry.take_messages()
    claimed = "nothing" if wrong == "id" else session_id
    claimer = "a" if wrong == "own" else "b"
    mesh.claim(claimer, claimed, "192.0.2.66" if wrong == "client" else CLIENT)
    assert mesh.registry.take_messages() == [(claimer, Refused(session_id=claimed))]


def test_whoever_claimed_a_session_that_ends_meanwhile_is_told() -> None:
    mesh = world("a", "b")
    session_id = mesh.begin("a")
    mesh.claim("b", session_id)
    mesh.registry.take_messages()
    mesh.end("a", session_id)
    assert mesh.registry.take_messages() == [("b", Refused(session_id=session_id))]


def test_what_was_handed_to_a_proxy_that_lost_its_stream_before_it_heard_of_it_goes_elsewhere() -> None:
    mesh = world("a", "b")
    session_id = mesh.begin("a")
    mesh.kill("a")
    mesh.advance(2 * HANDOVER_DELAY)
    mesh.lose("b")
    mesh.registry.take_messages()
    mesh.connect("b")
    mesh.settle()
    assert mesh.holders(session_id) == ["b"]


def test_a_proxy_that_gets_back_what_it_was_told_to_leave_keeps_it() -> None:
    mesh = world("a", "b")
    session_id = mesh.begin("a")
    mesh.begin("a")
    mesh.begin("b")
    mesh.claim("b", session_id)
    mesh.lose("a")
    mesh.connect("a")
    mesh.send()
    mesh.lose("b")
    mesh.connect("b")
    mesh.connect("c")
    assert mesh.owner(session_id) == "a"
    mesh.settle()
    assert mesh.holders(session_id) == ["a"]


def test_a_draining_proxy_gets_nothing_and_gives_all() -> None:
    mesh = world("a", "b")
    session_id = mesh.begin("a")
    mesh.drain("a")
    assert mesh.owner(session_id) == "b"
    other = mesh.begin("b")
    mesh.kill("b")
    mesh.advance(2 * HANDOVER_DELAY)
    assert mesh.owner(other) == NOBODY


def test_proxies_that_drain_do_not_count_as_ready() -> None:
    mesh = world("a")
    assert mesh.registry.accepting
    mesh.drain("a")
    assert not mesh.registry.accepting
    mesh.connect("b")
    assert mesh.registry.accepting
    mesh.lose("b")
    assert not mesh.registry.accepting


STEPS = st.one_of(
    st.tuples(st.just("begin"), st.sampled_from("abc")),
    st.tuples(st.sampled_from(["connect", "lose", "kill", "drain", "deliver", "deliver"]), st.sampled_from("abc")),
    st.tuples(st.sampled_from(["claim", "end"]), st.sampled_from("abc"), st.integers(0, 9)),
    st.tuples(st.just("advance"), st.sampled_from([0.1, 0.6, 3.5])),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_whatever_happens_every_session_and_its_relay_have_one_owner_and_none_is_lost(
    steps: list[tuple[object, ...]],
) -> None:
    mesh = world("a", "b")
    ended: set[str] = set()
    for step in steps:
        match step:
            case ("begin", str(name)) if mesh.proxies[name].connected and len(mesh.registry.owners) < 8:
                if not mesh.proxies[name].draining:
                    mesh.begin(name)
            case ("connect" | "lose" | "kill" | "deliver" as what, str(name)):
                getattr(mesh, str(what))(name)
            case ("drain", str(name)) if mesh.proxies[name].connected:
                mesh.drain(name)
            case ("claim", str(name), int(place)) if mesh.proxies[name].connected and mesh.registry.owners:
                session_id = sorted(mesh.registry.owners)[place % len(mesh.registry.owners)]
                if session_id not in mesh.proxies[name].sessions:
                    mesh.claim(name, session_id)
            case ("end", str(name), int(place)) if mesh.proxies[name].connected and mesh.proxies[name].sessions:
                session_id = sorted(mesh.proxies[name].sessions)[place % len(mesh.proxies[name].sessions)]
                if mesh.owner(session_id) == name:
                    ended.add(session_id)
                mesh.end(name, session_id)
            case ("advance", float(seconds)):
                mesh.advance(seconds)
        mesh.send()
        assert_owners_agree(mesh)
        if mesh.now > LOST_PROXY_GRACE:
            return
    living = {f"s{number + 1}" for number in range(mesh.count)} - ended
    assert set(mesh.registry.owners) == living
    for name in "abc":
        mesh.proxies[name].draining = False
        mesh.lose(name)
        mesh.connect(name)
        mesh.send()
    mesh.advance(LEAVE_TIMEOUT)
    mesh.settle()
    for session_id in living:
        assert mesh.holders(session_id) == [mesh.owner(session_id)]
    for session_id in ended:
        assert mesh.holders(session_id) == []
    assert_owners_agree(mesh)


def assert_owners_agree(mesh: World) -> None:
    """Each session's relay is there, and is of whom the session is of."""
    for session_id, owner in mesh.registry.owners.items():
        for way in mesh.registry.sessions[session_id].continuation.ways:
            assert mesh.relays.relays[way.relay_id].owner == owner
    assert {each.session_id for each in mesh.relays.relays.values()} == set(mesh.registry.owners)
