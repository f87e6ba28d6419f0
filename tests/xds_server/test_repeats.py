"""What was said lately is not fresh."""

from __future__ import annotations

from xds_server.repeats import MAX_TEXTS, REPEAT_SECONDS, Repeats


def test_the_same_is_said_again_after_a_while_and_something_else_at_once() -> None:
    repeats = Repeats()
    assert repeats.fresh("a", 0.0)
    assert not repeats.fresh("a", REPEAT_SECONDS - 0.1)
    assert repeats.fresh("b", REPEAT_SECONDS - 0.1)
    assert repeats.fresh("a", REPEAT_SECONDS)
    assert not repeats.fresh("a", REPEAT_SECONDS + 1)


def test_what_is_remembered_is_bounded() -> None:
    repeats = Repeats()
    for number in range(3 * MAX_TEXTS):
        assert repeats.fresh(str(number), 0.0)
    assert len(repeats._said) <= MAX_TEXTS
