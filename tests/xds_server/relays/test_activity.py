"""Which relays' media flows and which has fallen silent; what of that is told."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from xds_server.relays.activity import SILENT_AFTER, Activity, ActivityBook, ActivityChanges, WatchedRelay
from xds_server.relays.slot_activity import Traffic

NOTHING = ActivityChanges(silent={}, flowing=[], heard=[])
SLOT = 1


def relay(relay_id: str = "r", *, slot: int = SLOT, plays: bool = True) -> WatchedRelay:
    return WatchedRelay(relay_id=relay_id, slot=slot, plays=plays)


class Reports:
    """A media proxy that reports once a second; `now` is the time of the last report."""

    def __init__(self) -> None:
        self.book = ActivityBook(8)
        self.now = 100.0
        self._received: dict[int, int] = {}
        self._heard: dict[int, int] = {}
        self.book.renewed()

    def next(
        self,
        *relays: WatchedRelay,
        media: Iterable[int] = (),
        heard: Iterable[int] = (),
        after: float = 1.0,
    ) -> ActivityChanges:
        """The next report: media came to some slots, and receivers of some were heard."""
        self.now += after
        for slot in media:
            self._received[slot] = self._received.get(slot, 0) + 10
        for slot in heard:
            self._heard[slot] = self._heard.get(slot, 0) + 1
        counters = [
            *((f"udp.slot-{slot}-rtp.downstream_sess_rx_datagrams", count) for slot, count in self._received.items()),
            *((f"cluster.slot-{slot}-rtcp.udp.sess_rx_datagrams", count) for slot, count in self._heard.items()),
        ]
        return self.book.report(counters, relays, self.now)

    def activity(self, relay_id: str = "r", *, after: float = 0.0) -> Activity:
        known = self.book.relay(relay_id, self.now + after)
        assert known is not None
        return known.activity


@pytest.fixture
def reports() -> Reports:
    reports = Reports()
    reports.next()
    return reports


def test_media_that_begins_is_told_once(reports: Reports) -> None:
    assert reports.next(relay()) == NOTHING
    assert reports.next(relay(), media=[SLOT]).flowing == ["r"]
    assert [reports.next(relay(), media=[SLOT]) for _ in range(5)] == [NOTHING] * 5
    assert reports.activity() is Activity.FLOWING


def test_media_that_stops_is_told_with_its_time_and_when_it_comes_again(reports: Reports) -> None:
    reports.next(relay(), media=[SLOT])
    assert [reports.next(relay()) for _ in range(2)] == [NOTHING] * 2
    assert reports.next(relay()).silent == {"r": SILENT_AFTER}
    assert [reports.next(relay()) for _ in range(5)] == [NOTHING] * 5
    assert reports.activity() is Activity.SILENT
    assert reports.next(relay(), media=[SLOT]).flowing == ["r"]
    assert reports.activity() is Activity.FLOWING


def test_media_that_never_comes_is_silent_from_play_on(reports: Reports) -> None:
    assert [reports.next(relay(plays=False)) for _ in range(9)] == [NOTHING] * 9
    changes = [reports.next(relay()) for _ in range(4)]
    assert [change.silent for change in changes] == [{}, {}, {}, {"r": SILENT_AFTER}]


def test_who_does_not_play_is_idle_and_never_silent(reports: Reports) -> None:
    reports.next(relay(), media=[SLOT])
    assert [reports.next(relay(plays=False)) for _ in range(9)] == [NOTHING] * 9
    assert reports.activity() is Activity.IDLE


def test_who_plays_again_has_time_to_begin_and_is_told_of_anew(reports: Reports) -> None:
    reports.next(relay(), media=[SLOT])
    for _ in range(9):
        reports.next(relay(plays=False))
    assert reports.next(relay()) == NOTHING
    assert reports.next(relay(), media=[SLOT]).flowing == ["r"]


def test_media_of_the_relay_that_had_the_slot_before_says_nothing_of_the_next(reports: Reports) -> None:
    reports.next(relay("before"), media=[SLOT])
    reports.next()
    assert reports.next(relay()) == NOTHING
    assert reports.activity() is Activity.UNKNOWN
    known = reports.book.relay("r", reports.now)
    assert known is not None
    assert (known.traffic, known.media_age) == (Traffic(), None)


def test_a_relay_that_got_another_slot_begins_anew(reports: Reports) -> None:
    reports.next(relay(), media=[SLOT])
    reports.next(relay(slot=2), media=[SLOT])
    known = reports.book.relay("r", reports.now)
    assert known is not None
    assert (known.activity, known.traffic) == (Activity.UNKNOWN, Traffic())


def test_what_passed_before_the_first_report_of_a_relay_counts_as_its_own(reports: Reports) -> None:
    reports.next(relay(), media=[SLOT], heard=[SLOT])
    known = reports.book.relay("r", reports.now + 0.5)
    assert known is not None
    assert known.traffic == Traffic(received=10, heard=1)
    assert (known.media_age, known.heard_age) == (0.5, 0.5)


def test_receivers_are_told_of_whenever_they_are_heard(reports: Reports) -> None:
    both = relay("a", slot=1), relay("b", slot=2, plays=False)
    assert reports.next(*both, heard=[1, 2]).heard == ["a", "b"]
    assert reports.next(*both).heard == []
    assert reports.next(*both, heard=[2]).heard == ["b"]


def test_nothing_is_silent_because_nobody_reports(reports: Reports) -> None:
    reports.next(relay(), media=[SLOT])
    assert reports.activity(after=9) is Activity.UNKNOWN
    assert reports.next(relay(), after=60) == NOTHING
    assert [reports.next(relay()).silent for _ in range(3)] == [{}, {}, {"r": SILENT_AFTER}]


def test_who_was_silent_before_nobody_reported_does_not_flow_by_that(reports: Reports) -> None:
    reports.next(relay(), media=[SLOT])
    for _ in range(4):
        reports.next(relay())
    assert reports.activity() is Activity.SILENT
    assert reports.next(relay(), after=5) == NOTHING
    assert reports.activity() is Activity.UNKNOWN
    assert [reports.next(relay()) for _ in range(3)] == [NOTHING] * 3
    assert reports.activity() is Activity.SILENT


def test_silence_that_lasts_is_told_again_now_and_then(reports: Reports) -> None:
    reports.next(relay(), media=[SLOT])
    told = [reports.next(relay()).silent for _ in range(25)]
    assert [seconds for seconds, silent in enumerate(told, 1) if silent] == [3, 13, 23]
    assert told[12] == {"r": 13.0}


def test_a_new_media_proxy_has_time_to_get_media(reports: Reports) -> None:
    reports.next(relay(), media=[SLOT])
    reports.book.renewed()
    assert [reports.next(relay(), after=after) for after in (2.9, 1, 1)] == [NOTHING] * 3
    assert reports.next(relay()).silent == {"r": SILENT_AFTER}


def test_who_may_have_missed_it_is_told_again(reports: Reports) -> None:
    both = relay("flows", slot=1), relay("silent", slot=2)
    for _ in range(5):
        reports.next(*both, media=[1])
    reports.book.tell_again(["flows", "silent", "closed meanwhile"])
    changes = reports.next(*both, media=[1])
    assert (list(changes.silent), changes.flowing) == (["silent"], ["flows"])


def test_relays_are_counted_by_what_they_do(reports: Reports) -> None:
    several = relay("a", slot=1), relay("b", slot=2), relay("c", slot=3, plays=False)
    for _ in range(5):
        reports.next(*several, media=[1])
    counts = reports.book.counts(reports.now)
    assert counts == {Activity.FLOWING: 1, Activity.SILENT: 1, Activity.IDLE: 1, Activity.UNKNOWN: 0}
    reports.next()
    assert set(reports.book.counts(reports.now).values()) == {0}
