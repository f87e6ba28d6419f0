"""Waiting between attempts."""

from __future__ import annotations

from rtsp_filter.backoff import FIRST_SECONDS, LONGEST_SECONDS, Backoff


def test_the_wait_doubles_up_to_its_limit() -> None:
    backoff = Backoff()
    delays = [backoff.next_delay(1.0) for _ in range(8)]
    assert delays[:3] == [FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS]
    assert max(delays) == delays[-1] == LONGEST_SECONDS


def test_chance_spreads_the_wait_over_half_of_it() -> None:
    assert Backoff().next_delay(0.0) == FIRST_SECONDS / 2


def test_success_starts_over() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.next_delay(1.0)
    backoff.reset()
    assert backoff.next_delay(1.0) == FIRST_SECONDS
