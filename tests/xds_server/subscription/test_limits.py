"""The request budget."""

from __future__ import annotations

from xds_server.subscription.limits import REQUEST_BURST, REQUESTS_PER_SECOND, RequestBudget


def test_a_burst_passes_and_then_requests_are_paced() -> None:
    budget = RequestBudget(0.0)
    assert {budget.spend(0.0) for _ in range(int(REQUEST_BURST))} == {0.0}
    delays = [budget.spend(0.0) for _ in range(3)]
    assert delays == [1 / REQUESTS_PER_SECOND, 2 / REQUESTS_PER_SECOND, 3 / REQUESTS_PER_SECOND]


def test_a_slow_client_never_waits_and_idle_time_is_not_saved_up() -> None:
    budget = RequestBudget(0.0)
    assert all(budget.spend(now / REQUESTS_PER_SECOND) == 0.0 for now in range(10_000))
    budget.spend(1e9)
    assert sum(budget.spend(1e9) == 0.0 for _ in range(3 * int(REQUEST_BURST))) == int(REQUEST_BURST) - 1
