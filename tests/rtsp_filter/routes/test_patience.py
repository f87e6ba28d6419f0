"""When a route gives up on an endpoint, and when it tries another."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.route.v3 import route_components_pb2
from google.protobuf import json_format

from rtsp_filter.routes.action_reading import read_patience
from rtsp_filter.routes.patience import PATIENCE, NoAnswer, Patience

RESULTS = (NoAnswer.UNREACHABLE, NoAnswer.SILENT, 200, 401, 404, 500, 502, 504, 551)


def patience(**action: Any) -> Patience:
    return read_patience(json_format.ParseDict(action, route_components_pb2.RouteAction()))


@pytest.mark.parametrize(
    ("retry_on", "retried"),
    [
        ("connect-failure", {NoAnswer.UNREACHABLE}),
        ("reset", {NoAnswer.UNREACHABLE, NoAnswer.SILENT}),
        ("gateway-error", {NoAnswer.UNREACHABLE, NoAnswer.SILENT, 502, 504}),
        ("5xx", {NoAnswer.UNREACHABLE, NoAnswer.SILENT, 500, 502, 504, 551}),
        ("retriable-status-codes", {404, 551}),
        ("connect-failure, retriable-status-codes", {NoAnswer.UNREACHABLE, 404, 551}),
        ("", set()),
    ],
)
def test_what_is_tried_again(retry_on: str, retried: set[NoAnswer | int]) -> None:
    found = patience(retry_policy={"retry_on": retry_on, "retriable_status_codes": [404, 551]})
    assert {result for result in RESULTS if found.tries_again(result, 1)} == retried


def test_how_often_and_how_long() -> None:
    found = patience(timeout="3s", retry_policy={"retry_on": "5xx", "num_retries": 2, "per_try_timeout": "0.5s"})
    assert (found.timeout, found.try_timeout) == (3.0, 0.5)
    assert [found.tries_again(NoAnswer.SILENT, tries) for tries in (1, 2, 3)] == [True, True, False]
    assert str(found) == "2 more if 5xx, 0.5 s each, 3 s in all"


def test_a_route_that_says_nothing_tries_one_more_endpoint_if_the_first_cannot_be_reached() -> None:
    assert patience() == patience(timeout="0s") == PATIENCE
    assert {result for result in RESULTS if PATIENCE.tries_again(result, 1)} == {NoAnswer.UNREACHABLE}
    assert not PATIENCE.tries_again(NoAnswer.UNREACHABLE, 2)
    assert str(patience(retry_policy={})) == "no second try"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"retry_on": "5xx,cancelled"}, 'RetryPolicy.retry_on "cancelled" is not supported'),
        ({"retry_back_off": {"base_interval": "1s"}}, "RetryPolicy.retry_back_off is not supported"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(policy: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        patience(retry_policy=policy)
