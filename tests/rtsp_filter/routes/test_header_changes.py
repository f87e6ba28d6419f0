"""Headers that routes add and take away, in Envoy's order; the proxy's own stay."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.route.v3 import route_pb2
from google.protobuf import json_format

from rtsp_filter.routes.header_changes import MessageChanges
from rtsp_filter.routes.table import RouteTable, RouteTableError

HEADERS = [("User-Agent", "x"), ("X-A", "1"), ("Accept", "y"), ("x-a", "2")]


def changes(route: dict[str, Any], host: dict[str, Any] | None = None, **configuration: Any) -> MessageChanges:
    routes = [{"name": "r", "match": {"prefix": "/"}, "route": {"cluster": "a"}, **route}]
    hosts = [{"name": "any", "domains": ["*"], "routes": routes, **(host or {})}]
    message = json_format.ParseDict(
        {"name": "rtsp", "virtual_hosts": hosts, **configuration}, route_pb2.RouteConfiguration()
    )
    (found,) = RouteTable.from_xds(message, [], []).hosts.virtual_hosts
    return found.routes[0].headers


def add(name: str, value: str, action: str = "APPEND_IF_EXISTS_OR_ADD", **more: Any) -> dict[str, Any]:
    return {"request_headers_to_add": [{"header": {"key": name, "value": value}, "append_action": action, **more}]}


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (add("X-A", "3"), [*HEADERS, ("X-A", "3")]),
        (add("X-B", "3"), [*HEADERS, ("X-B", "3")]),
        (add("X-A", "3", "ADD_IF_ABSENT"), HEADERS),
        (add("X-B", "3", "ADD_IF_ABSENT"), [*HEADERS, ("X-B", "3")]),
        (add("X-A", "3", "OVERWRITE_IF_EXISTS"), [HEADERS[0], ("X-A", "3"), HEADERS[2]]),
        (add("X-B", "3", "OVERWRITE_IF_EXISTS"), HEADERS),
        (add("X-A", "3", "OVERWRITE_IF_EXISTS_OR_ADD"), [HEADERS[0], ("X-A", "3"), HEADERS[2]]),
        (add("X-B", "3", "OVERWRITE_IF_EXISTS_OR_ADD"), [*HEADERS, ("X-B", "3")]),
        (add("X-B", ""), HEADERS),
        (add("X-B", "", keep_empty_value=True), [*HEADERS, ("X-B", "")]),
        (add("X-B", "100%%"), [*HEADERS, ("X-B", "100%")]),
        ({"request_headers_to_remove": ["x-A"]}, [HEADERS[0], HEADERS[2]]),
        ({"request_headers_to_remove": ["x-a"], **add("X-A", "3", "ADD_IF_ABSENT")}, [*HEADERS[0::2], ("X-A", "3")]),
        ({"response_headers_to_remove": ["x-a"]}, HEADERS),
    ],
)
def test_what_is_there_counts_as_the_action_says(route: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert changes(route).request(HEADERS) == expected


def test_answers_are_changed_apart_from_requests() -> None:
    found = changes({"response_headers_to_remove": ["user-agent"], **add("X-B", "3")})
    assert found.response(HEADERS) == HEADERS[1:]


def test_levels_come_from_the_route_outwards_unless_told_otherwise() -> None:
    levels = (add("L", "route", "OVERWRITE_IF_EXISTS_OR_ADD"), add("L", "host", "OVERWRITE_IF_EXISTS_OR_ADD"))
    assert changes(*levels, **add("M", "all")).request([]) == [("L", "host"), ("M", "all")]
    assert changes(*levels, **add("M", "all"), most_specific_header_mutations_wins=True).request([]) == [
        ("M", "all"),
        ("L", "route"),
    ]


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        *((add(name, "x"), f"the header {name} belongs to the proxy") for name in ("CSeq", "Session", "transport")),
        ({"response_headers_to_remove": ["Content-Length"]}, "the header Content-Length belongs to the proxy"),
        (add(":method", "x"), "the header :method belongs to the proxy"),
        (add("X", "%START_TIME%"), 'the header value "%START_TIME%" has a command (%), which is not supported'),
        (add("X", "a\r\nY: b"), "a header value has a line end"),
        (add("X", "x", append=True), "HeaderValueOption.append is not supported"),
        ({"request_headers_to_add": [{"header": {"key": "X", "raw_value": "eA=="}}]}, "HeaderValue.raw_value is not"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(route: dict[str, Any], expected: str) -> None:
    with pytest.raises(RouteTableError) as caught:
        changes(route)
    assert expected in str(caught.value)
