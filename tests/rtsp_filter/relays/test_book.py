"""What the RTSP proxy states of its relays, and what it makes of answers."""

from __future__ import annotations

from mesh.wire import relay_pb2
from rtsp_filter.relays import Allocation, Receiver, RelayBook, RelayFailure
from rtsp_filter.relays.book import (
    Allocated,
    ClaimRefused,
    Failed,
    Granted,
    LeaveAsked,
    MediaChanged,
    Ready,
    Sender,
    SessionEndAsked,
    SessionHanded,
)

ALLOCATION = Allocation(slot=3, addresses=("127.0.0.1",), ingress_port=20000, egress_port=20002)
RECEIVER = Receiver(address="192.0.2.1", rtp_port=5000, rtcp_port=5001)


def slot(number: int) -> relay_pb2.Slot:
    return relay_pb2.Slot(number=number, addresses=["127.0.0.1"], ingress_port=20000, egress_port=20002)


def allocated(relay_id: str, number: int) -> relay_pb2.ControlMessage:
    return relay_pb2.ControlMessage(relay_allocated=relay_pb2.RelayAllocated(relay_id=relay_id, slot=slot(number)))


def failed(relay_id: str) -> relay_pb2.ControlMessage:
    return relay_pb2.ControlMessage(
        relay_failed=relay_pb2.RelayFailed(
            relay_id=relay_id, reason=relay_pb2.RelayFailed.NO_FREE_SLOT, message="no free media slot"
        )
    )


def test_an_answer_becomes_an_event() -> None:
    book = RelayBook("node", "instance")
    book.open("a", "session", "video", RECEIVER)
    assert book.receive(allocated("a", 3)) == Allocated(relay_id="a", allocation=ALLOCATION)
    ready = relay_pb2.ControlMessage(relay_ready=relay_pb2.RelayReady(relay_id="a"))
    assert book.receive(ready) == Ready(relay_id="a")
    lost = book.receive(failed("a"))
    assert isinstance(lost, Failed)
    assert (lost.relay_id, lost.session_id, str(lost.error)) == ("a", "session", "no free media slot")


def test_answers_about_a_relay_that_is_closed_meanwhile_mean_nothing() -> None:
    book = RelayBook("node", "instance")
    book.open("a", "session", "video", RECEIVER)
    book.close(["a"], sender_stopped=True)
    assert book.receive(allocated("a", 3)) is None
    assert book.receive(failed("a")) is None
    assert not book.state().state.relays


def test_a_new_stream_begins_with_all_that_is_held_and_repeats_what_was_never_answered() -> None:
    book = RelayBook("node", "instance")
    held = book.open("held", "session", "video", RECEIVER).open_relay
    book.receive(allocated("held", 3))
    asked = book.open("asked", "session", "audio", RECEIVER)
    session = relay_pb2.Session(session_id="session", url="rtsp://127.0.0.1/x")
    book.keep_session(session)
    state = book.state().state
    assert state.node_id == "node"
    assert [(relay.relay, relay.slot) for relay in state.relays] == [(held, 3)]
    assert list(state.sessions) == [session]
    assert list(book.unanswered()) == [asked]


def test_a_relay_with_a_granted_slot_is_held_from_the_moment_it_is_opened() -> None:
    book = RelayBook("node", "instance")
    message = relay_pb2.ControlMessage(slots_granted=relay_pb2.SlotsGranted(slots=[slot(3)]))
    assert book.receive(message) == Granted(allocations=(ALLOCATION,))
    opened = book.open("a", "session", "video", RECEIVER, ALLOCATION).open_relay
    assert opened.slot == 3
    assert [(relay.relay, relay.slot) for relay in book.state().state.relays] == [(opened, 3)]
    assert list(book.unanswered()) == []


def test_a_session_is_told_of_as_it_is_and_not_at_all_once_it_has_ended() -> None:
    book = RelayBook("node", "instance")
    for media in (["video"], ["video", "audio"]):
        book.keep_session(relay_pb2.Session(session_id="s", media=media))
    [message] = book.sessions(["s"])
    assert list(message.session.media) == ["video", "audio"]
    book.end_session("s", "over")
    assert list(book.sessions(["s"])) == []


def test_a_session_that_ended_is_not_stated_again() -> None:
    book = RelayBook("node", "instance")
    book.keep_session(relay_pb2.Session(session_id="session"))
    message = book.end_session("session", "the client ended it")
    assert message.session_ended.reason == "the client ended it"
    assert not book.state().state.sessions


def test_a_failed_relay_is_forgotten_and_says_why() -> None:
    book = RelayBook("node", "instance")
    book.open("a", "session", "video", RECEIVER)
    event = book.receive(failed("a"))
    assert isinstance(event, Failed)
    assert event.error.reason is RelayFailure.NO_FREE_SLOT
    assert str(event.error) == "no free media slot"
    assert list(book.unanswered()) == []


def test_an_operator_can_end_a_session() -> None:
    asked = relay_pb2.ControlMessage(end_session=relay_pb2.EndSession(session_id="s", reason="operator"))
    assert RelayBook("node", "instance").receive(asked) == SessionEndAsked(session_id="s", reason="operator")


def test_a_relay_that_is_moved_is_stated_with_its_new_receiver() -> None:
    book = RelayBook("node", "instance")
    assert not book.open("a", "session", "video", None).open_relay.HasField("receiver")
    book.receive(allocated("a", 3))
    moved = book.move("a", RECEIVER)
    assert (moved.open_relay.relay_id, moved.open_relay.receiver.rtp_port) == ("a", 5000)
    [held] = book.state().state.relays
    assert held.relay == moved.open_relay
    assert not book.move("a", None).open_relay.HasField("receiver")
    assert not book.state().state.relays[0].relay.HasField("receiver")


def test_what_is_told_of_relays_is_about_those_that_are_held() -> None:
    book = RelayBook("node", "instance")
    for relay_id in ("a", "b", "gone"):
        book.open(relay_id, f"session of {relay_id}", "video", RECEIVER)
    book.close(["gone"], sender_stopped=True)
    message = relay_pb2.RelayActivity(
        silent=[relay_pb2.SilentRelay(relay_id=each, seconds=3.5) for each in ("a", "gone")],
        flowing=["b", "gone"],
        receiver_alive=["gone", "a"],
    )
    assert book.receive(relay_pb2.ControlMessage(relay_activity=message)) == MediaChanged(
        silent={"a": 3.5}, flowing=("b",), receivers_alive=("a",)
    )
    assert (book.session_of("a"), book.session_of("gone")) == ("session of a", None)


def handed() -> relay_pb2.ControlMessage:
    return relay_pb2.ControlMessage(
        session_handed=relay_pb2.SessionHanded(
            session=relay_pb2.Session(session_id="s"),
            relays=[relay_pb2.HandedRelay(relay=relay_pb2.OpenRelay(relay_id="a", session_id="s"), slot=slot(3))],
        )
    )


def test_a_session_of_another_proxy_is_held_with_its_relays_from_the_moment_it_is_handed_over() -> None:
    book = RelayBook("node", "instance")
    event = book.receive(handed())
    assert event == SessionHanded(session=relay_pb2.Session(session_id="s"), allocations={"a": ALLOCATION})
    state = book.state().state
    assert [(held.relay.relay_id, held.slot) for held in state.relays] == [("a", 3)]
    assert [session.session_id for session in state.sessions] == ["s"]


def test_a_session_that_is_left_is_not_stated_again_and_its_relays_are_not_given_back() -> None:
    book = RelayBook("node", "instance")
    book.receive(handed())
    book.open("other", "t", "video", RECEIVER)
    assert book.leave("s") == relay_pb2.ProxyMessage(session_left=relay_pb2.SessionLeft(session_id="s"))
    assert not book.state().state.relays
    assert not book.state().state.sessions
    assert [message.open_relay.relay_id for message in book.unanswered()] == ["other"]


def test_what_is_said_of_sessions_that_change_hands_becomes_an_event() -> None:
    book = RelayBook("node", "instance")
    leave = relay_pb2.ControlMessage(leave_session=relay_pb2.LeaveSession(session_id="s"))
    refused = relay_pb2.ControlMessage(claim_refused=relay_pb2.ClaimRefused(session_id="s"))
    assert book.receive(leave) == LeaveAsked(session_id="s")
    assert book.receive(refused) == ClaimRefused(session_id="s")


def test_a_proxy_that_drains_says_so_whenever_it_connects() -> None:
    book = RelayBook("node", "instance")
    assert not book.state().state.draining
    assert book.drain().HasField("draining")
    assert book.state().state.draining


def test_a_relay_is_stated_with_its_sender_and_moved_to_another_or_to_any() -> None:
    book = RelayBook("node", "instance")
    opened = book.open("a", "session", "video", RECEIVER, ALLOCATION, Sender(address="192.0.2.9")).open_relay
    assert (opened.sender.address, opened.sender.rtp_port, opened.sender.rtcp_port) == ("192.0.2.9", 0, 0)
    moved = book.move("a", RECEIVER, Sender(address="192.0.2.9", rtp_port=7000, rtcp_port=7001)).open_relay
    assert (moved.sender.rtp_port, moved.sender.rtcp_port) == (7000, 7001)
    [held] = book.state().state.relays
    assert held.relay == moved
    assert not book.move("a", RECEIVER).open_relay.HasField("sender")
