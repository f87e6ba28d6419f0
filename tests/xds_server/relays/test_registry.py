"""The relay registry: who gets which slot, when a relay is ready, and what a restart may not break."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from xds_server.relays.registry import (
    GRANTED_SLOTS,
    LOST_PROXY_GRACE,
    OPEN_TIMEOUT,
    REFILL_GRANTS_AT,
    SETTLE_TIME,
    UNGRANTED_SLOTS,
    RelayRegistry,
)
from xds_server.relays.relay import (
    Allocated,
    Failed,
    FailureReason,
    Granted,
    Ready,
    Receiver,
    Relay,
    RelayMessage,
    RelayState,
)
from xds_server.relays.senders import CHANGES_WINDOW, MAX_CHANGES, Sender
from xds_server.relays.slots import REST_AFTER_LOSS, REST_AFTER_STOP, SlotPool, SlotState


class Mesh:
    """A registry and a media proxy that acknowledges when told to."""

    def __init__(self, capacity: int = 8, settle_time: float = 0.0) -> None:
        self.has: set[int] = set()
        pool = SlotPool(capacity, now=0.0)
        for slot in range(pool.size):
            pool.listens(slot)
        self.registry = RelayRegistry(pool, self.has.__contains__, now=0.0, settle_time=settle_time)

    def told(self) -> list[tuple[str, RelayMessage]]:
        messages, self.registry.messages = self.registry.messages, []
        return messages

    def acknowledge(self, *slots: int) -> None:
        self.has.update(slots)
        self.registry.slots_acknowledged(slots)


def relay(relay_id: str, owner: str = "proxy", address: str = "192.0.2.1") -> Relay:
    return Relay(
        relay_id=relay_id,
        session_id="session",
        media="video",
        receiver=Receiver(address=address, rtp_port=5000, rtcp_port=5001),
        owner=owner,
        state=RelayState.WAITING,
        deadline=math.inf,
    )


def test_a_relay_gets_its_ports_at_once_and_is_ready_only_when_the_media_proxy_has_it() -> None:
    mesh = Mesh()
    mesh.registry.open(relay("a"), 0.0)
    assert mesh.told() == [("proxy", Allocated(relay_id="a", slot=0))]
    assert mesh.registry.changed_slots == {0}
    mesh.registry.slots_acknowledged([0])
    assert mesh.told() == []
    mesh.acknowledge(0)
    assert mesh.told() == [("proxy", Ready(relay_id="a"))]


def test_a_relay_without_a_receiver_holds_its_slot_and_is_waited_for_by_nobody() -> None:
    mesh = Mesh()
    mesh.registry.open(replace(relay("a"), receiver=None), 0.0)
    assert mesh.told() == [("proxy", Allocated(relay_id="a", slot=0))]
    assert mesh.registry.receiver(0) is None
    assert mesh.registry.occupied(0)
    mesh.registry.tick(2 * OPEN_TIMEOUT)
    assert mesh.told() == []


def test_a_relay_that_is_moved_is_ready_again_once_the_media_proxy_has_its_new_receiver() -> None:
    mesh = Mesh()
    mesh.registry.open(replace(relay("a"), receiver=None), 0.0)
    mesh.told()
    mesh.registry.changed_slots.clear()
    mesh.registry.open(relay("a", address="192.0.2.9"), 60.0)
    assert mesh.registry.changed_slots == {0}
    assert mesh.registry.receiver(0) == Receiver(address="192.0.2.9", rtp_port=5000, rtcp_port=5001)
    assert mesh.told() == []
    mesh.acknowledge(0)
    assert mesh.told() == [("proxy", Ready(relay_id="a"))]


def test_a_relay_that_is_emptied_is_ready_once_the_media_proxy_has_let_go_of_its_receiver() -> None:
    mesh = Mesh()
    mesh.registry.open(relay("a"), 0.0)
    mesh.acknowledge(0)
    mesh.told()
    mesh.registry.changed_slots.clear()
    mesh.has.clear()
    mesh.registry.open(replace(relay("a"), receiver=None), 60.0)
    assert mesh.registry.changed_slots == {0}
    assert mesh.registry.receiver(0) is None
    assert mesh.told() == []
    mesh.acknowledge(0)
    assert mesh.told() == [("proxy", Ready(relay_id="a"))]


def test_a_move_that_is_never_acknowledged_fails() -> None:
    mesh = Mesh()
    mesh.registry.open(replace(relay("a"), receiver=None), 0.0)
    mesh.told()
    mesh.registry.open(relay("a"), 60.0)
    mesh.registry.tick(60.0 + OPEN_TIMEOUT)
    assert [(owner, type(message)) for owner, message in mesh.told()] == [("proxy", Failed)]


def test_a_relay_that_leads_nowhere_yet_is_not_told_as_ready_when_its_proxy_comes_back() -> None:
    mesh = Mesh()
    held = replace(relay("a"), receiver=None)
    mesh.registry.open(held, 0.0)
    mesh.told()
    mesh.registry.state("proxy", {"a": (held, 0)}, 1.0)
    assert Ready(relay_id="a") not in [message for _, message in mesh.told()]


def test_a_move_at_a_slot_that_the_media_proxy_has_refused_fails_in_its_words() -> None:
    mesh = Mesh()
    mesh.registry.open(replace(relay("a"), receiver=None), 0.0)
    mesh.registry.slot_rejected(0, "address in use", 1.0)
    mesh.told()
    mesh.registry.open(relay("a"), 2.0)
    [(_, failed)] = [told for told in mesh.told() if isinstance(told[1], Failed)]
    assert "address in use" in failed.message


def test_only_its_owner_moves_a_relay() -> None:
    mesh = Mesh()
    mesh.registry.open(relay("a"), 0.0)
    mesh.registry.open(relay("a", owner="other", address="192.0.2.66"), 1.0)
    receiver = mesh.registry.receiver(0)
    assert receiver is not None
    assert receiver.address == "192.0.2.1"


def test_an_open_that_is_repeated_is_answered_again_and_not_opened_twice() -> None:
    mesh = Mesh()
    mesh.registry.open(relay("a"), 0.0)
    mesh.acknowledge(0)
    mesh.told()
    mesh.registry.open(relay("a"), 1.0)
    assert mesh.told() == [("proxy", Allocated(relay_id="a", slot=0)), ("proxy", Ready(relay_id="a"))]
    assert mesh.registry.pool.count(SlotState.OPEN) == 1


def granted(mesh: Mesh) -> list[int]:
    return [slot for _, message in mesh.told() if isinstance(message, Granted) for slot in message.slots]


def test_a_connected_proxy_has_slots_in_hand_and_gets_others_when_they_run_low() -> None:
    mesh = Mesh(capacity=100)
    mesh.registry.state("proxy", {}, 0.0)
    slots = granted(mesh)
    assert len(slots) == GRANTED_SLOTS
    used = slots[: GRANTED_SLOTS - REFILL_GRANTS_AT]
    for slot in used[:-1]:
        mesh.registry.open(replace(relay(f"on {slot}"), slot=slot), 0.0)
        assert mesh.registry.receiver(slot) == relay("").receiver
        assert mesh.told() == []
    mesh.registry.open(replace(relay("last"), slot=used[-1]), 0.0)
    others = granted(mesh)
    assert len(others) == len(used)
    assert not set(others) & set(slots)
    mesh.acknowledge(used[-1])
    assert mesh.told() == [("proxy", Ready(relay_id="last"))]


def test_a_proxy_that_ran_out_of_grants_gets_some_once_there_is_plenty_again() -> None:
    mesh = Mesh(capacity=UNGRANTED_SLOTS + 2)
    mesh.registry.state("proxy", {}, 0.0)
    for slot in granted(mesh):
        mesh.registry.open(replace(relay(f"on {slot}"), slot=slot), 0.0)
    mesh.registry.open(relay("without"), 0.0)
    assert granted(mesh) == []
    for relay_id in list(mesh.registry.relays):
        mesh.registry.close("proxy", relay_id, sender_stopped=True, now=0.0)
    mesh.registry.open(relay("later"), REST_AFTER_STOP)
    assert len(granted(mesh)) == 1


def test_a_slot_that_was_granted_to_another_proxy_is_refused() -> None:
    mesh = Mesh(capacity=100)
    mesh.registry.state("one", {}, 0.0)
    mesh.registry.state("two", {}, 0.0)
    first = granted(mesh)[0]
    mesh.registry.open(replace(relay("a", owner="two"), slot=first), 0.0)
    [(owner, failed)] = mesh.told()
    assert (owner, type(failed)) == ("two", Failed)
    assert mesh.registry.receiver(first) is None


def test_grants_leave_slots_for_those_who_have_none() -> None:
    mesh = Mesh(capacity=UNGRANTED_SLOTS + 2)
    mesh.registry.state("one", {}, 0.0)
    assert len(granted(mesh)) == 2
    mesh.registry.open(relay("a", owner="two"), 0.0)
    [(owner, message)] = mesh.told()
    assert (owner, type(message)) == ("two", Allocated)


def test_grants_end_with_their_stream_and_are_free_at_once() -> None:
    mesh = Mesh(capacity=UNGRANTED_SLOTS + 2)
    mesh.registry.state("one", {}, 0.0)
    slots = granted(mesh)
    mesh.registry.proxy_lost("one", 1.0)
    mesh.registry.state("two", {}, 1.0)
    assert granted(mesh) == slots


def test_nothing_is_granted_before_the_registry_has_settled() -> None:
    mesh = Mesh(capacity=100, settle_time=SETTLE_TIME)
    mesh.registry.state("proxy", {}, 0.0)
    assert granted(mesh) == []
    mesh.registry.settle([], SETTLE_TIME)
    assert len(granted(mesh)) == GRANTED_SLOTS


def test_without_a_free_slot_the_relay_fails_and_says_what_to_do() -> None:
    mesh = Mesh(capacity=1)
    mesh.registry.open(relay("a"), 0.0)
    mesh.told()
    mesh.registry.open(relay("b"), 0.0)
    [(_, failed)] = mesh.told()
    assert isinstance(failed, Failed)
    assert failed.reason is FailureReason.NO_FREE_SLOT
    assert "--media-ports" in failed.message
    assert "b" not in mesh.registry.relays


def test_a_relay_that_the_media_proxy_never_acknowledges_fails_in_time() -> None:
    mesh = Mesh()
    mesh.registry.open(relay("a"), 0.0)
    mesh.told()
    assert mesh.registry.next_timer() == OPEN_TIMEOUT
    mesh.registry.tick(OPEN_TIMEOUT)
    [(_, failed)] = mesh.told()
    assert isinstance(failed, Failed)
    assert failed.reason is FailureReason.MEDIA_PROXY_UNAVAILABLE
    assert mesh.registry.receiver(0) is None


def test_what_the_media_proxy_refuses_fails_with_its_own_words() -> None:
    mesh = Mesh()
    mesh.registry.open(relay("a"), 0.0)
    mesh.told()
    mesh.registry.slot_rejected(0, "cannot bind", 0.0)
    [(_, failed)] = mesh.told()
    assert isinstance(failed, Failed)
    assert "cannot bind" in failed.message


def test_a_slot_that_the_media_proxy_could_not_take_is_given_to_nobody_until_it_starts_anew() -> None:
    mesh = Mesh(capacity=2)
    mesh.registry.slot_rejected(0, "cannot bind", 0.0)
    mesh.registry.open(relay("a"), 0.0)
    assert mesh.told() == [("proxy", Allocated(relay_id="a", slot=1))]
    mesh.registry.media_proxy_renewed()
    mesh.registry.open(relay("b"), 0.0)
    assert mesh.told() == [("proxy", Allocated(relay_id="b", slot=0))]


def test_a_granted_slot_that_was_refused_meanwhile_fails_at_once_and_says_why() -> None:
    mesh = Mesh(capacity=100)
    mesh.registry.state("proxy", {}, 0.0)
    slot = granted(mesh)[0]
    mesh.registry.slot_rejected(slot, "cannot bind", 0.0)
    mesh.registry.open(replace(relay("a"), slot=slot), 0.0)
    [failed] = [message for _, message in mesh.told() if isinstance(message, Failed)]
    assert "cannot bind" in failed.message
    mesh.registry.tick(REST_AFTER_STOP)
    assert mesh.registry.pool.state(slot) is SlotState.REFUSED


def test_a_granted_slot_that_was_refused_meanwhile_goes_to_nobody_when_the_grant_ends() -> None:
    mesh = Mesh(capacity=100)
    mesh.registry.state("proxy", {}, 0.0)
    slot = granted(mesh)[0]
    mesh.registry.slot_rejected(slot, "cannot bind", 0.0)
    mesh.registry.proxy_lost("proxy", 0.0)
    assert mesh.registry.pool.state(slot) is SlotState.REFUSED


def test_a_relay_that_carried_media_leaves_a_refused_slot_to_nobody() -> None:
    mesh = Mesh(capacity=2)
    mesh.registry.open(relay("a"), 0.0)
    mesh.acknowledge(0)
    mesh.registry.slot_rejected(0, "cannot bind", 1.0)
    mesh.registry.close("proxy", "a", sender_stopped=True, now=2.0)
    mesh.registry.tick(2.0 + REST_AFTER_STOP)
    assert mesh.registry.pool.state(0) is SlotState.REFUSED


def test_a_receiver_that_the_media_proxy_refuses_costs_its_relay_and_not_the_slot() -> None:
    mesh = Mesh(capacity=1)
    mesh.registry.open(relay("a"), 0.0)
    mesh.registry.receiver_rejected(0, "malformed address", 0.0)
    [_, (_, failed)] = mesh.told()
    assert isinstance(failed, Failed)
    assert "malformed address" in failed.message
    mesh.registry.open(relay("b"), REST_AFTER_STOP)
    assert mesh.told() == [("proxy", Allocated(relay_id="b", slot=0))]


def test_only_slots_where_the_media_proxy_listens_are_granted_and_as_soon_as_it_does() -> None:
    mesh = Mesh(capacity=100)
    mesh.registry.media_proxy_renewed()
    mesh.registry.state("proxy", {}, 0.0)
    assert granted(mesh) == []
    listening = range(5, 5 + UNGRANTED_SLOTS + GRANTED_SLOTS)
    mesh.registry.slots_listen(listening, 0.0)
    assert granted(mesh) == list(listening)[:GRANTED_SLOTS]


def test_the_refusal_for_want_of_slots_counts_those_that_the_media_proxy_refused() -> None:
    mesh = Mesh(capacity=1)
    mesh.registry.slot_rejected(0, "cannot bind", 0.0)
    mesh.registry.open(relay("a"), 0.0)
    [(_, failed)] = mesh.told()
    assert isinstance(failed, Failed)
    assert failed.reason is FailureReason.NO_FREE_SLOT
    assert "1 refused" in failed.message


@pytest.mark.parametrize(("stopped", "rest"), [(True, REST_AFTER_STOP), (False, REST_AFTER_LOSS)])
def test_a_slot_rests_longer_when_its_sender_may_still_send(stopped: bool, rest: float) -> None:
    mesh = Mesh(capacity=1)
    mesh.registry.open(relay("a"), 0.0)
    mesh.registry.close("proxy", "a", sender_stopped=stopped, now=10.0)
    mesh.told()
    mesh.registry.open(relay("b"), 10.0 + rest - 0.1)
    assert isinstance(mesh.told()[0][1], Failed)
    mesh.registry.open(relay("b"), 10.0 + rest)
    assert mesh.told() == [("proxy", Allocated(relay_id="b", slot=0))]


def test_a_proxy_cannot_close_another_ones_relay() -> None:
    mesh = Mesh()
    mesh.registry.open(relay("a", owner="mine"), 0.0)
    mesh.registry.close("other", "a", sender_stopped=True, now=0.0)
    assert "a" in mesh.registry.relays


def test_relays_outlive_their_proxys_stream_and_end_when_it_stays_away() -> None:
    mesh = Mesh()
    mesh.registry.open(relay("a"), 0.0)
    mesh.acknowledge(0)
    mesh.registry.proxy_lost("proxy", 10.0)
    mesh.registry.tick(10.0 + LOST_PROXY_GRACE - 0.1)
    assert "a" in mesh.registry.relays
    assert mesh.registry.take_departed() == []
    mesh.registry.tick(10.0 + LOST_PROXY_GRACE)
    assert "a" not in mesh.registry.relays
    assert mesh.registry.pool.state(0) is SlotState.RESTING
    assert mesh.registry.take_departed() == ["proxy"]


def test_a_proxy_that_comes_back_keeps_what_it_states_and_loses_the_rest() -> None:
    mesh = Mesh()
    for name in ("a", "b"):
        mesh.registry.open(relay(name), 0.0)
    mesh.acknowledge(0, 1)
    mesh.told()
    mesh.registry.proxy_lost("proxy", 1.0)
    mesh.registry.state("proxy", {"b": (relay("b"), 1)}, 2.0)
    assert set(mesh.registry.relays) == {"b"}
    assert mesh.registry.pool.state(0) is SlotState.RESTING
    mesh.registry.tick(1.0 + LOST_PROXY_GRACE)
    assert set(mesh.registry.relays) == {"b"}


def test_a_proxy_that_states_anothers_relay_gets_nothing_of_it() -> None:
    mesh = Mesh()
    mesh.registry.open(relay("a", "one"), 0.0)
    mesh.acknowledge(0)
    mesh.told()
    before = dict(mesh.registry.relays)
    mesh.registry.state("two", {"a": (relay("a", "two", "198.51.100.9"), 1)}, 1.0)
    assert mesh.registry.relays == before
    (failed,) = [message for owner, message in mesh.told() if owner == "two" and isinstance(message, Failed)]
    assert failed.reason is FailureReason.REFUSED


def test_after_a_restart_no_slot_is_given_before_all_proxies_had_time_to_state_theirs() -> None:
    mesh = Mesh(settle_time=SETTLE_TIME)
    mesh.registry.open(relay("new", owner="fast"), 0.1)
    assert mesh.told() == []
    assert not mesh.registry.settled
    mesh.registry.state("slow", {"old": (relay("old", owner="slow"), 0)}, 2.0)
    assert mesh.registry.settle_due(SETTLE_TIME)
    mesh.registry.settle([], SETTLE_TIME)
    assert mesh.registry.receiver(0) == relay("old").receiver
    assert (("fast", Allocated(relay_id="new", slot=1))) in mesh.told()


def test_after_a_restart_slots_that_nobody_claims_but_somebody_may_use_rest_first() -> None:
    mesh = Mesh(capacity=2, settle_time=SETTLE_TIME)
    mesh.registry.settle([0], SETTLE_TIME)
    mesh.registry.open(relay("a"), SETTLE_TIME)
    assert mesh.told() == [("proxy", Allocated(relay_id="a", slot=1))]
    assert mesh.registry.pool.state(0) is SlotState.RESTING


def test_a_restated_relay_becomes_ready_when_the_media_proxy_has_it_however_late() -> None:
    mesh = Mesh(settle_time=SETTLE_TIME)
    mesh.registry.state("proxy", {"a": (relay("a"), 3)}, 1.0)
    mesh.registry.settle([], SETTLE_TIME)
    mesh.registry.tick(1000.0)
    assert mesh.told() == []
    mesh.acknowledge(3)
    assert mesh.told() == [("proxy", Ready(relay_id="a"))]


def test_two_proxies_that_claim_one_slot_do_not_share_it() -> None:
    mesh = Mesh(settle_time=SETTLE_TIME)
    mesh.registry.state("one", {"a": (relay("a", owner="one"), 3)}, 1.0)
    mesh.registry.state("two", {"b": (relay("b", owner="two", address="192.0.2.2"), 3)}, 1.0)
    [(owner, failed)] = mesh.told()
    assert (owner, type(failed)) == ("two", Failed)
    assert mesh.registry.receiver(3) == relay("a").receiver


def test_a_relay_for_another_sender_than_before_is_ready_only_when_the_media_proxy_has_that() -> None:
    mesh = Mesh()
    mesh.registry.open(replace(relay("a"), sender=Sender(address="192.0.2.9")), 0.0)
    mesh.acknowledge(0)
    assert mesh.told() == [("proxy", Allocated(relay_id="a", slot=0)), ("proxy", Ready(relay_id="a"))]
    mesh.has.clear()
    mesh.registry.changed_slots.clear()
    other = Sender(address="192.0.2.10", rtp_port=5000, rtcp_port=5001)
    mesh.registry.open(replace(relay("a"), sender=other), 1.0)
    assert (mesh.registry.sender(0), mesh.registry.changed_slots, mesh.told()) == (other, {0}, [])
    mesh.acknowledge(0)
    assert mesh.told() == [("proxy", Ready(relay_id="a"))]


def test_a_relay_for_one_sender_is_refused_when_slots_have_changed_too_often_and_its_grant_is_free_again() -> None:
    mesh = Mesh(capacity=64)
    mesh.registry.state("proxy", {}, 0.0)
    mesh.registry.open(replace(relay("a"), slot=0), 0.0)
    for port in range(1, MAX_CHANGES + 1):
        mesh.registry.open(replace(relay("a"), sender=Sender(address="192.0.2.9", rtp_port=port, rtcp_port=port)), 0.0)
    mesh.told()
    camera = Sender(address="192.0.2.10")
    mesh.registry.open(replace(relay("b"), slot=1, sender=camera), 0.0)
    ((_, failed),) = mesh.told()
    assert isinstance(failed, Failed)
    assert failed.reason is FailureReason.NO_FREE_SLOT
    assert mesh.registry.pool.state(1) is SlotState.FREE
    mesh.registry.open(replace(relay("c")), 0.0)
    assert not [told for _, told in mesh.told() if isinstance(told, Failed)]
    mesh.registry.open(replace(relay("d"), sender=camera), CHANGES_WINDOW)
    assert not [told for _, told in mesh.told() if isinstance(told, Failed)]


def test_a_relay_gets_no_other_sender_when_slots_have_changed_too_often() -> None:
    mesh = Mesh()
    for port in range(1, MAX_CHANGES + 2):
        mesh.registry.open(replace(relay("a"), sender=Sender(address="192.0.2.9", rtp_port=port, rtcp_port=port)), 0.0)
    (failed,) = [told for _, told in mesh.told() if isinstance(told, Failed)]
    assert failed.reason is FailureReason.NO_FREE_SLOT
    assert mesh.registry.pool.state(0) is SlotState.RESTING


def test_senders_that_are_stated_after_a_restart_are_no_changes() -> None:
    camera = Sender(address="192.0.2.9")
    mesh = Mesh(capacity=MAX_CHANGES + 1, settle_time=SETTLE_TIME)
    held = {str(slot): (replace(relay(str(slot)), sender=camera), slot) for slot in range(MAX_CHANGES)}
    mesh.registry.state("proxy", held, 0.0)
    mesh.registry.settle([], SETTLE_TIME)
    mesh.registry.open(replace(relay("a"), sender=camera), SETTLE_TIME)
    assert not [told for _, told in mesh.told() if isinstance(told, Failed)]
