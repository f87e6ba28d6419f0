"""Outlier detection: an endpoint that fails several times in a row is left out for a while, longer each time.

A failure is a description or set-up that the endpoint did not answer, or answered with a status from 500 on: what
Envoy counts as consecutive_5xx. Time is an argument; nothing here waits: `ended` is asked when somebody wants to know.

Envoy: architecture overview, outlier detection.
"""

from __future__ import annotations

from rtsp_filter.balancing.hosts import HostState
from rtsp_filter.balancing.settings import OutlierDetection


def succeeded(state: HostState) -> None:
    """The endpoint has answered."""
    state.failures = 0


def failed(state: HostState, rules: OutlierDetection | None, ejected: int, total: int, reason: str, now: float) -> bool:
    """The endpoint has failed. True: it is left out from now on.

    `ejected` and `total` are endpoints of the cluster: only so many are left out, and always one.
    """
    state.failures += 1
    if rules is None or state.ejected_until is not None or state.failures < rules.consecutive_failures:
        return False
    if ejected and 100 * (ejected + 1) > rules.max_percent * total:
        return False
    forgiven = int((now - state.returned_at) / rules.interval) if state.strikes else 0
    state.strikes = max(0, state.strikes - forgiven) + 1
    length = min(rules.base_ejection * state.strikes, max(rules.max_ejection, rules.base_ejection))
    state.ejected_until = now + length
    state.ejection = f"{state.failures} failures in a row, the last: {reason}"
    return True


def ended(state: HostState, now: float) -> bool:
    """Takes the endpoint back when its time is over. True: it was taken back."""
    if state.ejected_until is None or now < state.ejected_until:
        return False
    take_back(state, now)
    return True


def take_back(state: HostState, now: float) -> None:
    """The endpoint is used again."""
    state.ejected_until = None
    state.returned_at = now
    state.failures = 0
    state.ejection = ""
