"""Finding the bad resource of a refused response."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xds_server.subscription.suspects import Suspects, quotes


def narrow_down(names: list[str], bad: set[str], message: str) -> tuple[set[str], set[str], list[int]]:
    """Play a client that refuses `bad`: who was blamed, who got through, the sizes of what was sent."""
    suspects, blamed, passed, sizes = Suspects(), set(), set(), []
    blamed.update(suspects.refused(dict.fromkeys(names, "v"), None, message))
    while (group := suspects.take()) is not None:
        sizes.append(len(group.names))
        if bad & set(group.names):
            blamed.update(suspects.refused(dict.fromkeys(group.names, "v"), group, message))
        else:
            passed.update(group.names)
            blamed.update(suspects.accepted(group))
    assert not suspects
    return blamed, passed, sizes


NAMES = [f"n{i}" for i in range(24)]


@given(bad=st.sets(st.sampled_from(NAMES), min_size=1), quoted=st.sets(st.sampled_from(NAMES)))
def test_exactly_the_bad_ones_are_blamed_whatever_the_message_says(bad: set[str], quoted: set[str]) -> None:
    blamed, passed, _ = narrow_down(NAMES, bad, ", ".join(sorted(quoted)))
    assert blamed == bad
    assert passed == set(NAMES) - bad


def test_one_quoted_culprit_is_never_sent_again() -> None:
    blamed, _, sizes = narrow_down(NAMES, {"n7"}, "n7: address in use")
    assert blamed == {"n7"}
    assert sizes == [23]


def test_a_name_is_quoted_only_as_a_whole_word() -> None:
    assert quotes("error in listener(s) rtp: too long", "rtp")
    assert quotes("'rtp' is wrong.", "rtp")
    assert not quotes("error in rtp-1: too long", "rtp")
    assert not quotes("udp.rtp is wrong", "rtp")
    assert not quotes("no name at all", "rtp")


def test_a_name_whose_content_changed_leaves_and_nobody_is_blamed_for_it() -> None:
    suspects = Suspects()
    suspects.refused({"a": "1", "b": "1"}, None, "")
    assert suspects.holds("b", "1")
    assert not suspects.holds("b", "2")
    suspects.drop("b")
    group = suspects.take()
    assert group is not None
    assert group.names == ("a",)
    assert suspects.accepted(group) == {}
    assert not suspects


def test_when_a_culprit_may_have_been_unsubscribed_the_rest_is_tried_again() -> None:
    suspects = Suspects()
    assert suspects.refused({"a": "1", "b": "1"}, None, "", gone=["a"]) == {}
    group = suspects.take()
    assert group is not None
    assert group.names == ("b",)


def test_a_refused_empty_response_blames_nobody() -> None:
    suspects = Suspects()
    assert suspects.refused({}, None, "no") == {}
    assert suspects.take() is None
