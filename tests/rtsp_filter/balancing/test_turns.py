"""Turns: weights hold, whatever they are, and go on over changes."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.balancing.turns import Turns


def _turns(weights: list[int]) -> Turns[int]:
    return Turns(range(len(weights)), lambda index: weights[index])


def test_weights_of_95_to_5_hold_within_5_percent_of_themselves_over_1000_turns() -> None:
    turns = _turns([95, 5])
    counts = Counter(turns.next() for _ in range(1000))
    assert abs(counts[0] - 950) <= 0.05 * 950
    assert abs(counts[1] - 50) <= 0.05 * 50


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30), st.integers(1, 2000))
def test_at_any_time_everybody_has_had_its_share_but_for_few_turns(weights: list[int], count: int) -> None:
    turns = _turns(weights)
    counts = Counter(turns.next() for _ in range(count))
    # Shares are rounded, so the clock may be off by half a turn of each member.
    for index, weight in enumerate(weights):
        share = count * weight / sum(weights)
        slack = 1 + (len(weights) / 2) * weight / sum(weights)
        assert abs(counts[index] - share) <= slack


def test_equals_have_their_turns_in_order() -> None:
    turns = _turns([1, 1, 1])
    assert [turns.next() for _ in range(6)] == [0, 1, 2, 0, 1, 2]


def test_who_has_no_weight_has_no_turn() -> None:
    turns = _turns([0, 1])
    assert {turns.next() for _ in range(10)} == {1}
    assert not _turns([0, 0])


@given(st.lists(st.booleans(), max_size=300))
def test_weights_hold_over_any_number_of_successors(changes: list[bool]) -> None:
    """Endpoints may come and go after each session: nobody is served twice because of it."""
    weights = [95, 5]
    turns = _turns(weights)
    counts: Counter[int] = Counter()
    for number, change in enumerate(changes, 1):
        if change:
            turns = Turns(range(2), lambda index: weights[index], turns.remaining())
        counts[turns.next()] += 1
        assert abs(counts[1] - number * 0.05) <= 1.5


def test_a_newcomer_waits_for_half_a_turn_of_its_own() -> None:
    turns = _turns([1, 1])
    turns.next()
    joined = Turns(range(3), lambda index: 1, turns.remaining())
    assert Counter(joined.next() for _ in range(30)) == {0: 10, 1: 10, 2: 10}


def test_a_weight_that_changes_counts_from_the_next_turn_on() -> None:
    weights = [1.0, 1.0]
    turns = Turns(range(2), lambda index: weights[index])
    [turns.next() for _ in range(10)]
    weights[1] = 3.0
    counts = Counter(turns.next() for _ in range(400))
    assert abs(counts[1] - 300) <= 2
