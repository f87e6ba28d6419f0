"""The slot pool: ports, watermarks, and rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from xds_server.relays.slots import LOW_WATERMARK, SHRINK_AFTER, SlotLayout, SlotPool, SlotState


@given(first=st.integers(1, 65000), length=st.integers(5, 400))
def test_slots_have_even_rtp_ports_of_their_own_within_the_range(first: int, length: int) -> None:
    layout = SlotLayout(first_port=first, last_port=min(65535, first + length))
    taken: set[int] = set()
    for slot in range(layout.capacity):
        ports = layout.ports(slot)
        assert ports.ingress % 2 == 0 == ports.egress % 2
        mine = {ports.ingress, ports.ingress + 1, ports.egress, ports.egress + 1}
        assert len(mine) == 4
        assert not mine & taken
        assert layout.first_port <= min(mine)
        assert max(mine) <= layout.last_port
        taken |= mine


@pytest.mark.parametrize(("first", "last"), [(20000, 20002), (20001, 20004), (0, 100), (20010, 20000), (65000, 65536)])
def test_a_range_without_room_for_a_slot_is_refused(first: int, last: int) -> None:
    with pytest.raises(ValueError, match="media ports"):
        SlotLayout(first_port=first, last_port=last)


def test_the_pool_grows_before_it_runs_out() -> None:
    pool = SlotPool(200, now=0.0, minimum=LOW_WATERMARK)
    assert pool.size == LOW_WATERMARK
    pool.take(0.0)
    assert pool.size > LOW_WATERMARK
    taken = [pool.take(0.0) for _ in range(199)]
    assert None not in taken
    assert pool.take(0.0) is None


def test_a_released_slot_rests_before_it_is_used_again() -> None:
    pool = SlotPool(1, now=0.0)
    assert pool.take(0.0) == 0
    pool.rest(0, until=90.0)
    assert pool.take(89.9) is None
    assert pool.next_timer() == 90.0
    assert pool.take(90.0) == 0


def test_a_pool_that_has_long_been_too_large_shrinks_from_the_top_to_its_minimum() -> None:
    pool = SlotPool(400, now=0.0, minimum=20)
    taken = [pool.take(0.0) for _ in range(100)]
    grown = pool.size
    for slot in taken:
        assert slot is not None
        pool.rest(slot, until=1.0)
    pool.tick(1.0)
    assert pool.size == grown
    now = 1.0
    while (due := pool.next_timer()) is not None:
        now = due
        pool.tick(now)
    assert pool.size == 20
    assert now >= 1.0 + SHRINK_AFTER


def test_a_slot_in_use_is_never_given_up() -> None:
    pool = SlotPool(100, now=0.0, minimum=1)
    taken = [pool.take(0.0) for _ in range(60)]
    for slot in taken[:-1]:
        assert slot is not None
        pool.rest(slot, until=1.0)
    pool.tick(1.0)
    pool.tick(1.0 + SHRINK_AFTER)
    assert pool.size >= 60
    assert pool.state(59) is SlotState.OPEN


def test_a_claim_takes_a_slot_that_the_pool_has_not_warmed_yet() -> None:
    pool = SlotPool(100, now=0.0, minimum=4)
    assert pool.claim(50)
    assert pool.size == 51
    assert not pool.claim(50)
    assert not pool.claim(100)


def test_a_slot_that_is_at_rest_rests_on_until_the_later_of_two_ends() -> None:
    pool = SlotPool(1, now=0.0)
    assert pool.take(0.0) == 0
    pool.rest(0, until=1.0)
    pool.rest(0, until=90.0)
    pool.rest(0, until=30.0)
    assert pool.take(89.9) is None
    assert pool.take(90.0) == 0
    pool.tick(200.0)
    assert pool.state(0) is SlotState.OPEN


def test_the_end_of_a_rest_that_a_claim_cut_short_frees_nobody() -> None:
    pool = SlotPool(1, now=0.0)
    pool.rest(0, until=10.0)
    assert pool.claim(0)
    pool.tick(10.0)
    assert pool.state(0) is SlotState.OPEN
    assert pool.take(10.0) is None


def test_a_refused_slot_is_nobodys_until_the_media_proxy_is_a_new_one() -> None:
    pool = SlotPool(2, now=0.0)
    pool.refuse(0)
    assert pool.take(0.0) == 1
    assert pool.take(0.0) is None
    assert pool.count(SlotState.REFUSED) == 1
    pool.renew()
    assert pool.take(0.0) == 0


def test_a_slot_that_is_refused_in_use_or_at_rest_is_nobodys_afterwards() -> None:
    pool = SlotPool(2, now=0.0)
    pool.take(0.0)
    granted = pool.take(0.0, SlotState.GRANTED)
    for slot in (0, 1):
        pool.refuse(slot)
    pool.rest(0, until=1.0)
    assert granted == 1
    pool.give_back(granted)
    assert pool.take(1.0) is None
    assert pool.count(SlotState.REFUSED) == 2


def test_a_refused_slot_at_rest_rests_on_when_the_media_proxy_is_a_new_one() -> None:
    pool = SlotPool(1, now=0.0)
    pool.rest(0, until=90.0)
    pool.refuse(0)
    pool.renew()
    assert pool.take(89.9) is None
    assert pool.take(90.0) == 0


def test_slots_where_the_media_proxy_listens_go_before_others() -> None:
    pool = SlotPool(4, now=0.0)
    assert pool.listening == 0
    for slot in (2, 3):
        pool.listens(slot)
    assert pool.listening == 2
    assert [pool.take(0.0) for _ in range(5)] == [2, 3, 0, 1, None]


def test_a_new_media_proxy_listens_nowhere_yet() -> None:
    pool = SlotPool(3, now=0.0)
    pool.listens(1)
    pool.renew()
    assert pool.count(SlotState.WARMING) == 3
    assert pool.listening == 0


def test_a_refusal_takes_a_slot_from_nobody() -> None:
    pool = SlotPool(2, now=0.0)
    opened, granted = pool.take(0.0), pool.take(0.0, SlotState.GRANTED)
    for slot in (opened, granted):
        assert slot is not None
        state = pool.state(slot)
        pool.refuse(slot)
        assert pool.state(slot) is state


class SlotsAreNobodysTwice(RuleBasedStateMachine):
    """Whatever is taken, claimed and released: a slot has one owner, and rests when it should."""

    @initialize(capacity=st.integers(1, 80), minimum=st.integers(1, 40))
    def start(self, capacity: int, minimum: int) -> None:
        self.now = 0.0
        self.pool = SlotPool(capacity, now=0.0, minimum=minimum)
        self.open: set[int] = set()
        self.resting: dict[int, float] = {}
        self.refused: set[int] = set()

    @rule()
    def take(self) -> None:
        slot = self.pool.take(self.now)
        self.forget_what_has_rested()
        self.refused = {slot for slot in self.refused if slot < self.pool.size}
        if slot is None:
            assert len(self.open | set(self.resting) | self.refused) >= self.pool.capacity
            return
        assert slot not in self.open
        assert slot not in self.refused
        assert slot not in self.resting
        self.open.add(slot)

    @rule(used=st.booleans())
    def grant(self, used: bool) -> None:
        slot = self.pool.take(self.now, SlotState.GRANTED)
        self.forget_what_has_rested()
        self.refused = {slot for slot in self.refused if slot < self.pool.size}
        if slot is None:
            return
        assert slot not in self.open
        assert slot not in self.resting
        assert slot not in self.refused
        assert not self.pool.claim(slot)
        if used:
            self.pool.open(slot)
            self.open.add(slot)
        else:
            self.pool.give_back(slot)

    @rule(slot=st.integers(-1, 100))
    def claim(self, slot: int) -> None:
        expected = 0 <= slot < self.pool.capacity and slot not in self.open
        assert self.pool.claim(slot) is expected
        if expected:
            self.open.add(slot)
            self.resting.pop(slot, None)

    @rule(data=st.data(), rest=st.sampled_from((1.0, 90.0)))
    def release(self, data: st.DataObject, rest: float) -> None:
        if self.open:
            slot = data.draw(st.sampled_from(sorted(self.open)))
            self.open.remove(slot)
            self.resting[slot] = self.now + rest
            self.pool.rest(slot, until=self.now + rest)

    @rule(data=st.data(), rest=st.sampled_from((1.0, 90.0)))
    def rest_again(self, data: st.DataObject, rest: float) -> None:
        if self.resting:
            slot = data.draw(st.sampled_from(sorted(self.resting)))
            self.resting[slot] = max(self.resting[slot], self.now + rest)
            self.pool.rest(slot, until=self.now + rest)

    @rule(slot=st.integers(0, 100), refused=st.booleans())
    def answer(self, slot: int, refused: bool) -> None:
        if slot < self.pool.size:
            if refused:
                self.pool.refuse(slot)
                self.refused.add(slot)
            else:
                self.pool.listens(slot)

    @rule()
    def renew(self) -> None:
        self.pool.renew()
        self.refused.clear()

    @rule(seconds=st.sampled_from((0.5, 1.0, 30.0, 300.0)))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.pool.tick(self.now)
        self.forget_what_has_rested()
        self.refused = {slot for slot in self.refused if slot < self.pool.size}

    def forget_what_has_rested(self) -> None:
        self.resting = {slot: until for slot, until in self.resting.items() if until > self.now}

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "pool"):
            assert self.pool.count(SlotState.OPEN) == len(self.open)
            assert self.pool.count(SlotState.RESTING) == len(self.resting)
            assert sum(self.pool.count(state) for state in SlotState) == self.pool.size


TestSlotsAreNobodysTwice = SlotsAreNobodysTwice.TestCase
