"""How long a route waits for its servers, and when it tries another one of them.

Envoy's rules (config.route.v3.RetryPolicy; RouteAction.timeout), with RTSP's statuses. A retry is for the request that
a session begins with, and never goes to an endpoint that has failed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rtsp_filter.rtsp import StatusCode

_GATEWAY_ERRORS = (StatusCode.BAD_GATEWAY, StatusCode.SERVICE_UNAVAILABLE, StatusCode.GATEWAY_TIME_OUT)
_SERVER_ERRORS = range(500, 600)


class RetryOn(Enum):
    """What is tried again, by Envoy's names."""

    CONNECT_FAILURE = "connect-failure"
    RESET = "reset"
    GATEWAY_ERROR = "gateway-error"
    SERVER_ERROR = "5xx"
    STATUS_CODES = "retriable-status-codes"


class NoAnswer(Enum):
    """How a server fails without a status."""

    UNREACHABLE = "unreachable"
    """No connection came about."""
    SILENT = "silent"
    """The connection ended, or time was up, before there was an answer."""


_ALWAYS_SILENT = frozenset({RetryOn.RESET, RetryOn.GATEWAY_ERROR, RetryOn.SERVER_ERROR})
_WITHOUT_ANSWER = {
    NoAnswer.UNREACHABLE: _ALWAYS_SILENT | {RetryOn.CONNECT_FAILURE},
    NoAnswer.SILENT: _ALWAYS_SILENT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """When to give up. `timeout` is for all tries together, `try_timeout` for each, in seconds; None: as long as
    connections last. Where nothing is said, one more endpoint is tried if the first cannot be reached."""

    timeout: float | None = None
    try_timeout: float | None = None
    retries: int = 1
    retry_on: frozenset[RetryOn] = frozenset({RetryOn.CONNECT_FAILURE})
    status_codes: frozenset[int] = frozenset()

    def tries_again(self, result: NoAnswer | int, tries: int) -> bool:
        """Whether, after so many tries, the last of which had this result (a status, or none), there is another."""
        return tries <= self.retries and self._is_retriable(result)

    def _is_retriable(self, result: NoAnswer | int) -> bool:
        if isinstance(result, NoAnswer):
            return not self.retry_on.isdisjoint(_WITHOUT_ANSWER[result])
        if RetryOn.SERVER_ERROR in self.retry_on and result in _SERVER_ERRORS:
            return True
        if RetryOn.GATEWAY_ERROR in self.retry_on and result in _GATEWAY_ERRORS:
            return True
        return RetryOn.STATUS_CODES in self.retry_on and result in self.status_codes

    def __str__(self) -> str:
        reasons = ", ".join(sorted(item.value for item in self.retry_on))
        parts = [f"{self.retries} more if {reasons}" if self.retries and reasons else "no second try"]
        parts += [f"{self.try_timeout:g} s each"] if self.try_timeout is not None else []
        parts += [f"{self.timeout:g} s in all"] if self.timeout is not None else []
        return ", ".join(parts)


PATIENCE = Patience()
"""Of a route that says nothing of it."""
