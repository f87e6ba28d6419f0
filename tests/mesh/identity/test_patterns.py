"""Which SPIFFE IDs a pattern means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.identity import IdPattern, checked_id

SEGMENTS = st.sampled_from(["ns", "sa", "media", "a", "b", "a.b", "-", "A"])
PATHS = st.lists(SEGMENTS, min_size=1, max_size=5)
DOMAINS = st.sampled_from(["example.org", "example.com", "org"])


@st.composite
def ids(draw: st.DrawFn) -> str:
    return checked_id("/".join([f"spiffe://{draw(DOMAINS)}", *draw(PATHS)]))


@st.composite
def patterns(draw: st.DrawFn) -> IdPattern:
    path = draw(st.lists(st.one_of(SEGMENTS, st.just("*")), min_size=1, max_size=5))
    end = draw(st.sampled_from([[], ["**"]]))
    return IdPattern("/".join([f"spiffe://{draw(DOMAINS)}", *path, *end]))


@pytest.mark.parametrize(
    ("pattern", "meant", "others"),
    [
        ("spiffe://a/b", ["spiffe://a/b"], ["spiffe://a/b/c", "spiffe://a/bc", "spiffe://a/B", "spiffe://a"]),
        ("spiffe://a/*", ["spiffe://a/b"], ["spiffe://a", "spiffe://a/b/c", "spiffe://b/b"]),
        ("spiffe://a/ns/*/sa/x", ["spiffe://a/ns/y/sa/x"], ["spiffe://a/ns/y/z/sa/x", "spiffe://a/ns/sa/x"]),
        ("spiffe://a/**", ["spiffe://a/b", "spiffe://a/b/c"], ["spiffe://a", "spiffe://aa/b", "spiffe://b/b"]),
        ("spiffe://a/b/**", ["spiffe://a/b/c", "spiffe://a/b/c/d"], ["spiffe://a/b", "spiffe://a/bb/c"]),
        ("spiffe://a/*/**", ["spiffe://a/b/c"], ["spiffe://a/b"]),
    ],
)
def test_a_pattern_means_these_and_not_those(pattern: str, meant: list[str], others: list[str]) -> None:
    found = IdPattern(pattern)
    assert [each for each in (*meant, *others) if found.matches(each)] == meant


@given(ids(), ids())
def test_a_pattern_without_wildcards_means_itself_alone(one: str, other: str) -> None:
    assert IdPattern(one).matches(one)
    assert IdPattern(one).matches(other) == (one == other)


@given(patterns(), ids(), st.data())
def test_another_wildcard_never_means_fewer(pattern: IdPattern, spiffe_id: str, data: st.DataObject) -> None:
    head, path = pattern.text.split("/")[:3], pattern.text.split("/")[3:]
    at = data.draw(st.integers(0, len(path) - 1))
    single = [*path[:at], "*", *path[at + 1 :]] if path[at] != "**" else path
    for wider in (single, [*path[:at], "**"]):
        assert IdPattern("/".join([*head, *wider])).matches(spiffe_id) or not pattern.matches(spiffe_id)


@given(patterns(), ids())
def test_a_pattern_means_nobody_of_another_trust_domain(pattern: IdPattern, spiffe_id: str) -> None:
    same = pattern.text.split("/")[2] == spiffe_id.split("/")[2]
    assert same or not pattern.matches(spiffe_id)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("spiffe://*/a", "trust domain must be said in full"),
        ("spiffe://*.org/a", "trust domain must be said in full"),
        ("spiffe://a", "needs a path"),
        ("*", "must begin with spiffe://"),
        ("**", "must begin with spiffe://"),
        ("", "must begin with spiffe://"),
        ("spiffe://a/**/b", "at the end only"),
        ("spiffe://a/b*", "stands for a whole segment"),
        ("spiffe://a/***", "stands for a whole segment"),
        ("spiffe://a/b/c**", "stands for a whole segment"),
        ("spiffe://a/b/", "empty segment"),
        ("spiffe://a/../*", "'.' or '..'"),
        ("spiffe://a/b?c", "in its path"),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="is no pattern of SPIFFE IDs") as error:
        IdPattern(text)
    assert why in str(error.value)


@given(st.text())
def test_any_text_is_a_pattern_or_a_value_error(text: str) -> None:
    for candidate in (text, f"spiffe://a/{text}"):
        try:
            IdPattern(candidate)
        except ValueError:
            continue
