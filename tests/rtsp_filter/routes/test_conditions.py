"""What routes want of a request besides its path: headers, the method, query parameters."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.route.v3 import route_pb2
from google.protobuf import json_format

from rtsp_filter.routes.condition_reading import read_conditions
from rtsp_filter.routes.request import RouteRequest, bare_host
from rtsp_filter.routes.table import Chance, NoRoute, RouteTable, RouteTableError
from rtsp_filter.rtsp import RTSPURL, Headers

REQUEST = RouteRequest(
    host="h",
    path="/cam?token=a=b&empty&token=second",
    method="DESCRIBE",
    headers=Headers([("User-Agent", "LibVLC/3.0"), ("X-Site", "one"), ("x-site", "two"), ("Bandwidth", "512")]),
)


def condition(match: dict[str, Any]) -> Any:
    value = {"virtual_hosts": [{"routes": [{"match": match}]}]}
    message = json_format.ParseDict(value, route_pb2.RouteConfiguration())
    (found,) = read_conditions(message.virtual_hosts[0].routes[0].match)
    return found


def header(name: str, **matcher: Any) -> dict[str, Any]:
    return {"headers": [{"name": name, **matcher}]}


def query(name: str, **matcher: Any) -> dict[str, Any]:
    return {"query_parameters": [{"name": name, **matcher}]}


@pytest.mark.parametrize(
    ("match", "text"),
    [
        (header("user-agent", string_match={"prefix": "LibVLC"}), 'the header user-agent begins with "LibVLC"'),
        (header("User-Agent", exact_match="LibVLC/3.0"), 'the header User-Agent is "LibVLC/3.0"'),
        (header("User-Agent", suffix_match="3.0"), 'the header User-Agent ends with "3.0"'),
        (header("User-Agent", contains_match="VLC"), 'the header User-Agent contains "VLC"'),
        (
            header("User-Agent", string_match={"contains": "vlc", "ignore_case": True}),
            'the header User-Agent contains "vlc" in upper or lower case',
        ),
        (header("User-Agent", safe_regex_match={"regex": "Lib.*"}), 'the header User-Agent matches "Lib.*"'),
        (header("User-Agent", exact_match="x", invert_match=True), 'not: the header User-Agent is "x"'),
        (header("X-Site", exact_match="two"), 'the header X-Site is "two"'),
        (header("X-Site"), "there is a header X-Site"),
        (header("X-Site", present_match=True), "there is a header X-Site"),
        (header("X-Other", present_match=False), "there is no header X-Other"),
        (header("X-Other", present_match=True, invert_match=True), "there is no header X-Other"),
        (
            header("X-Other", string_match={"exact": "x"}, invert_match=True, treat_missing_header_as_empty=True),
            'not: the header X-Other is "x" (a missing one is taken as empty)',
        ),
        (
            header("Bandwidth", range_match={"start": 500, "end": 513}),
            "the header Bandwidth is a number from 500 to below 513",
        ),
        (header(":method", string_match={"exact": "DESCRIBE"}), 'the method is "DESCRIBE"'),
        (query("token", string_match={"exact": "a=b"}), 'the query parameter token is "a=b"'),
        (query("empty", present_match=True), "there is a query parameter empty"),
        (query("empty", string_match={"safe_regex": {"regex": ""}}), 'the query parameter empty matches ""'),
    ],
)
def test_a_condition_that_holds_and_how_it_reads(match: dict[str, Any], text: str) -> None:
    assert condition(match).holds(REQUEST)
    assert str(condition(match)) == text


@pytest.mark.parametrize(
    "match",
    [
        header("User-Agent", exact_match="libvlc/3.0"),
        header("User-Agent", prefix_match="VLC"),
        header("User-Agent", safe_regex_match={"regex": "VLC"}),
        header("User-Agent", contains_match="VLC", invert_match=True),
        header("X-Other", exact_match="x", invert_match=True),
        header("X-Other"),
        header("X-Site", present_match=False),
        header("X-Site", contains_match=","),
        header("X-Site", exact_match="two", invert_match=True),
        header("X-Site", invert_match=True),
        header("Bandwidth", range_match={"start": 500, "end": 512}),
        header("X-Site", range_match={"start": 0, "end": 9}),
        header(":method", string_match={"exact": "SETUP"}),
        query("token", string_match={"exact": "second"}),
        query("Token", present_match=True),
        query("absent", string_match={"exact": ""}),
    ],
)
def test_a_condition_that_does_not_hold(match: dict[str, Any]) -> None:
    assert not condition(match).holds(REQUEST)


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (header(":path", present_match=True), 'HeaderMatcher.name ":path" is not supported'),
        (header("x", string_match={}), "a StringMatcher has no pattern"),
        (header("x", string_match={"custom": {"name": "x"}}), "StringMatcher.custom is not supported"),
        (header("x", safe_regex_match={"regex": "("}), "not an RE2 regular expression"),
        (query("x", string_match={"safe_regex": {"regex": "("}}), "not an RE2 regular expression"),
    ],
)
def test_a_condition_that_cannot_be_honoured_is_refused_by_name(match: dict[str, Any], expected: str) -> None:
    route = {"name": "r", "match": {"prefix": "/", **match}, "route": {"cluster": "a"}}
    value = {"name": "rtsp", "virtual_hosts": [{"name": "any", "domains": ["*"], "routes": [route]}]}
    with pytest.raises(RouteTableError, match="virtual host any: route r: ") as caught:
        RouteTable.from_xds(json_format.ParseDict(value, route_pb2.RouteConfiguration()), [], [])
    assert expected in str(caught.value)


def test_reasons_name_the_condition_and_never_what_the_request_said() -> None:
    secret = RouteRequest(host="h", path="/", headers=Headers([("Authorization", "Basic c2VjcmV0")]))
    wanted = header("Authorization", exact_match="Basic b3RoZXI=")
    routes = [{"name": "r", "match": {"prefix": "/", **wanted}, "route": {"cluster": "a"}}]
    value = {"name": "rtsp", "virtual_hosts": [{"name": "any", "domains": ["*"], "routes": routes}]}
    table = RouteTable.from_xds(json_format.ParseDict(value, route_pb2.RouteConfiguration()), [], [])
    answer = table.decide(secret, Chance(table, 0.0))
    assert isinstance(answer, NoRoute)
    assert answer.reasons[1:] == (
        'Route r does not match: it wants more than the path: the header Authorization is "Basic b3RoZXI=".',
        'No route of virtual host any matches the path "/" and has all else that is wanted.',
    )


def test_a_request_is_taken_from_its_url() -> None:
    request = RouteRequest.of(RTSPURL.parse("rtsp://[2001:db8::1]:8554?a=1"), "SETUP")
    assert (request.host, request.plain_path, request.query, request.method) == (
        "[2001:db8::1]:8554",
        "/",
        "?a=1",
        "SETUP",
    )


@pytest.mark.parametrize(
    ("host", "bare"),
    [("h", "h"), ("h:554", "h"), ("[2001:db8::1]:554", "2001:db8::1"), ("2001:db8::1", "2001:db8::1")],
)
def test_a_host_is_known_without_its_port(host: str, bare: str) -> None:
    assert bare_host(host) == bare
