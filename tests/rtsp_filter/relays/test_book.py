"""What the RTSP proxy states of its relays, and what it makes of answers."""

from __future__ import annotations

from mesh.wire import relay_pb2
from rtsp_filter.relays import Allocation, Receiver, RelayBook, RelayFailure
from rtsp_filter.relays.book import Allocated, Failed, Granted, Ready, SessionEndAsked

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
