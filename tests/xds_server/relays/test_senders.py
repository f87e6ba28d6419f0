"""Slots that are for one sender: they stay so, and change only so often."""

from __future__ import annotations

from xds_server.relays.senders import CHANGES_WINDOW, MAX_CHANGES, Sender, SlotSenders

ONE, OTHER = Sender(address="192.0.2.1"), Sender(address="192.0.2.2", rtp_port=5000, rtcp_port=5001)


def test_slots_take_anybodys_packets_until_they_are_ones_and_after_that_again() -> None:
    senders = SlotSenders()
    assert senders.of(3) is None
    senders.set(3, ONE, 0.0)
    assert (senders.of(3), senders.of(4)) == (ONE, None)
    senders.set(3, OTHER, 0.0)
    assert senders.of(3) == OTHER
    senders.set(3, None, 0.0)
    assert senders.of(3) is None


def test_media_slots_change_their_senders_only_so_often_and_staying_as_they_are_costs_nothing() -> None:
    senders = SlotSenders()
    for number in range(MAX_CHANGES - 1):
        senders.set(number, ONE, 0.0)
    for _ in range(MAX_CHANGES):
        senders.set(0, ONE, 1.0)
    assert senders.refusal(1.0) is None
    senders.set(0, OTHER, 1.0)
    assert str(MAX_CHANGES) in str(senders.refusal(1.0))
    assert senders.refusal(CHANGES_WINDOW) is None
