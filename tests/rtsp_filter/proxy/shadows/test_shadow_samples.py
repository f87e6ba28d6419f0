"""What shadow sessions add to what is known of an endpoint: nothing twice, and nothing is taken back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.player.core import TRACK_SILENCE_LIMIT
from rtsp_filter.proxy.shadows.shadow_core import Quality
from rtsp_filter.proxy.shadows.shadow_samples import ShadowSamples
from rtsp_filter.relays.endpoint_book import Count, Tally


def _tally() -> Tally:
    return Tally(lambda: None)


def _packets(tally: Tally) -> tuple[int, int]:
    return tally.counts[Count.PACKETS], tally.counts[Count.LOST_PACKETS]


def test_each_look_adds_what_is_new() -> None:
    tally = _tally()
    samples = ShadowSamples(tally)
    samples.take(Quality(packets=90, lost=0.1, jitter=0.001))
    assert _packets(tally) == (100, 10)
    samples.take(Quality(packets=190, lost=0.05, jitter=0.004))
    assert _packets(tally) == (200, 10)
    assert tally.jitter == 0.004


def test_two_sessions_of_an_endpoint_add_up() -> None:
    tally = _tally()
    for samples in (ShadowSamples(tally), ShadowSamples(tally)):
        samples.take(Quality(packets=50))
    assert tally.counts[Count.PACKETS] == 100


def test_a_session_of_which_nothing_comes_is_one_set_up_that_failed() -> None:
    tally = _tally()
    samples = ShadowSamples(tally)
    for _ in range(3):
        samples.take(Quality(silent_seconds=TRACK_SILENCE_LIMIT))
    assert (tally.counts[Count.SETUPS], tally.counts[Count.FAILED_SETUPS]) == (1, 1)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(-5, 20)), max_size=20))
def test_counts_never_go_back_whatever_arrives_late(looks: list[tuple[int, int]]) -> None:
    tally = _tally()
    samples = ShadowSamples(tally)
    arrived = missing = 0
    before = (0, 0)
    for more, change in looks:
        arrived, missing = arrived + more, max(0, missing + change)
        samples.take(Quality(packets=arrived, lost=missing / (arrived + missing) if arrived + missing else 0.0))
        found = _packets(tally)
        assert found >= before
        assert found[0] >= before[0]
        assert found[1] >= before[1]
        assert found[1] <= found[0]
        before = found
