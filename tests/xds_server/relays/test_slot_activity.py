"""What passes through slots, from totals that come again and again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xds_server.relays.slot_activity import SlotActivity, Traffic

SLOTS = 4


def received(slot: int, packets: float) -> tuple[str, float]:
    return f"udp.slot-{slot}-rtp.downstream_sess_rx_datagrams", packets


def heard(slot: int, packets: float) -> tuple[str, float]:
    return f"cluster.slot-{slot}-rtcp.udp.sess_rx_datagrams", packets


@pytest.fixture
def slots() -> SlotActivity:
    """A media proxy has reported that nothing passed yet."""
    slots = SlotActivity(SLOTS)
    slots.renewed()
    slots.take([], 0.0)
    return slots


def test_what_counters_grow_by_has_passed(slots: SlotActivity) -> None:
    sent = [
        ("cluster.slot-1-rtp.udp.sess_tx_datagrams", 9),
        ("cluster.slot-1-rtp.upstream_cx_tx_bytes_total", 900),
    ]
    slots.take([received(1, 10), *sent], 1.0)
    slots.take([received(1, 25), heard(1, 2), *sent], 2.0)
    assert slots.traffic(1) == Traffic(received=25, sent=9, sent_bytes=900, heard=2)
    assert slots.traffic(0) == Traffic()


def test_the_sum_is_of_all_slots(slots: SlotActivity) -> None:
    slots.take([received(1, 10), received(2, 5)], 1.0)
    assert slots.total == Traffic(received=15)


def test_media_is_as_old_as_the_last_report_in_which_it_grew(slots: SlotActivity) -> None:
    assert slots.media_at(1) is None
    slots.take([received(1, 10)], 1.0)
    slots.take([received(1, 10)], 2.0)
    assert slots.media_at(1) == 1.0


def test_a_receiver_is_heard_in_the_reports_in_which_its_packets_grow(slots: SlotActivity) -> None:
    assert slots.take([heard(1, 1), received(2, 7)], 1.0) == {1}
    assert slots.take([heard(1, 1), received(2, 9)], 2.0) == set()
    assert slots.take([heard(1, 2), heard(3, 1)], 3.0) == {1, 3}
    assert (slots.heard_at(1), slots.heard_at(2)) == (3.0, None)


def test_rtcp_of_the_sender_and_media_of_the_receiver_count_for_nothing(slots: SlotActivity) -> None:
    others = [
        ("udp.slot-1-rtcp.downstream_sess_rx_datagrams", 5),
        ("cluster.slot-1-rtp.udp.sess_rx_datagrams", 5),
        ("cluster.slot-1-rtcp.udp.sess_tx_datagrams", 5),
    ]
    assert slots.take(others, 1.0) == set()
    assert slots.total == Traffic()


def test_what_a_proxy_counted_before_it_was_known_is_not_counted_here() -> None:
    slots = SlotActivity(SLOTS)
    slots.renewed()
    slots.take([received(1, 1000)], 1.0)
    assert (slots.total, slots.media_at(1)) == (Traffic(), None)
    slots.take([received(1, 1001)], 2.0)
    assert slots.total == Traffic(received=1)


def test_counting_goes_on_with_another_media_proxy(slots: SlotActivity) -> None:
    slots.take([received(1, 10)], 1.0)
    slots.renewed()
    slots.take([received(1, 500)], 2.0)
    slots.take([received(1, 504)], 3.0)
    assert slots.traffic(1) == Traffic(received=14)


def test_a_counter_that_begins_anew_has_counted_since_then(slots: SlotActivity) -> None:
    slots.take([received(1, 10)], 1.0)
    slots.take([received(1, 3)], 2.0)
    assert slots.traffic(1) == Traffic(received=13)
    assert slots.media_at(1) == 2.0


def test_names_of_others_and_of_slots_that_cannot_be_are_passed_over(slots: SlotActivity) -> None:
    names = ["server.uptime", f"udp.slot-{SLOTS}-rtp.downstream_sess_rx_datagrams", "udp.slot-x-rtp.", ""]
    slots.take([(name, 7) for name in names], 1.0)
    assert slots.total == Traffic()


@given(st.lists(st.lists(st.integers(0, 50), min_size=SLOTS, max_size=SLOTS)))
def test_the_sum_is_what_all_slots_have_received_however_it_is_reported(growth: list[list[int]]) -> None:
    slots = SlotActivity(SLOTS)
    slots.renewed()
    slots.take([], 0.0)
    totals = [0] * SLOTS
    for now, grown in enumerate(growth, 1):
        totals = [total + more for total, more in zip(totals, grown, strict=True)]
        slots.take([received(slot, total) for slot, total in enumerate(totals) if total], float(now))
    assert [slots.traffic(slot).received for slot in range(SLOTS)] == totals
    assert slots.total.received == sum(totals)
