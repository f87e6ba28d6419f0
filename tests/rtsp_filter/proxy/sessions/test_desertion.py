"""How long a session lives whose control connection is gone."""

from __future__ import annotations

import pytest

from rtsp_filter.proxy.sessions.desertion import RECEIVER_LAG, Desertion

LOST = 100.0
GRACE = 10.0
TIMEOUT = 60.0
# RTCP comes about every five seconds, and up to half more (RFC 3550, 6.2).
LONGEST_INTERVAL = 7.5


@pytest.fixture
def desertion() -> Desertion:
    return Desertion(now=LOST, grace=GRACE, timeout=TIMEOUT)


def test_without_a_report_it_has_its_grace(desertion: Desertion) -> None:
    assert (desertion.deadline, desertion.heard) == (LOST + GRACE, False)


def test_every_report_gives_it_the_time_of_a_session(desertion: Desertion) -> None:
    for heard in (LOST + RECEIVER_LAG, LOST + 30, LOST + 89):
        desertion.receiver_alive(heard)
        assert (desertion.deadline, desertion.heard) == (heard + TIMEOUT, True)


def test_a_report_that_may_have_been_sent_before_the_loss_says_nothing(desertion: Desertion) -> None:
    desertion.receiver_alive(LOST + RECEIVER_LAG - 0.1)
    assert (desertion.deadline, desertion.heard) == (LOST + GRACE, False)


def test_a_report_never_takes_time_away() -> None:
    desertion = Desertion(now=LOST, grace=GRACE, timeout=RECEIVER_LAG)
    desertion.receiver_alive(LOST + RECEIVER_LAG)
    assert desertion.deadline == LOST + GRACE


def test_whoever_reports_as_seldom_as_rtcp_may_is_heard_in_time(desertion: Desertion) -> None:
    last_that_says_nothing = LOST + RECEIVER_LAG - 0.1
    desertion.receiver_alive(last_that_says_nothing + LONGEST_INTERVAL)
    assert desertion.heard
    assert last_that_says_nothing + LONGEST_INTERVAL < LOST + GRACE
