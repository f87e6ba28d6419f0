"""How sessions are shared among priorities: the tables of Envoy's documentation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.balancing.priorities import Census, Share, Tier, shares


def _shares(healthy: list[int], degraded: list[int] | None = None, *, panic: float = 50) -> list[Share]:
    """Of 100 endpoints in each priority, so many are healthy and so many degraded."""
    census = [
        Census(healthy=good, degraded=fair, total=100)
        for good, fair in zip(healthy, degraded or [0] * len(healthy), strict=True)
    ]
    return shares(census, overprovisioning=140, panic_percent=panic)


def _percents(healthy: list[int]) -> list[float]:
    found = {share.priority: share.percent for share in _shares(healthy)}
    return [round(found.get(priority, 0)) for priority in range(len(healthy))]


@pytest.mark.parametrize(
    ("healthy", "expected"),
    [
        ([100, 100], [100, 0]),
        ([72, 100], [100, 0]),
        ([71, 100], [99, 1]),
        ([50, 100], [70, 30]),
        ([25, 100], [35, 65]),
        ([0, 100], [0, 100]),
        ([71, 71, 100], [99, 1, 0]),
        ([25, 25, 100], [35, 35, 30]),
        ([25, 25, 25], [35, 35, 30]),
        ([20, 20, 20], [33, 33, 33]),
    ],
)
def test_priorities_share_as_envoy_documents(healthy: list[int], expected: list[int]) -> None:
    assert _percents(healthy) == expected


def test_degraded_endpoints_get_what_healthy_ones_cannot_take() -> None:
    found = [(share.tier, round(share.percent)) for share in _shares([50], [50])]
    assert found == [(Tier.HEALTHY, 70), (Tier.DEGRADED, 30)]


def test_a_priority_panics_only_when_all_together_are_too_few() -> None:
    assert [share.tier for share in _shares([30, 100])] == [Tier.HEALTHY, Tier.HEALTHY]
    assert [share.tier for share in _shares([30, 30])] == [Tier.ALL, Tier.ALL]
    assert [share.tier for share in _shares([30, 30], panic=20)] == [Tier.HEALTHY, Tier.HEALTHY]


def test_with_nothing_usable_all_are_tried_unless_panic_is_off() -> None:
    assert [(share.tier, share.percent) for share in _shares([0, 0])] == [(Tier.ALL, 50), (Tier.ALL, 50)]
    assert _shares([0, 0], panic=0) == []
    assert shares([], overprovisioning=140, panic_percent=50) == []


_COUNTS = st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))


@given(st.lists(_COUNTS, min_size=1, max_size=5), st.integers(100, 300), st.integers(0, 100))
def test_shares_add_up_to_all_sessions_or_to_none(
    counts: list[tuple[int, int, int]], overprovisioning: int, panic: int
) -> None:
    census = [Census(healthy=a, degraded=b, total=a + b + c) for a, b, c in counts]
    found = shares(census, overprovisioning=overprovisioning, panic_percent=panic)
    usable = any(each.healthy + each.degraded for each in census)
    there = any(each.total for each in census)
    assert sum(share.percent for share in found) == pytest.approx(100 if usable or (there and panic) else 0)
