"""Where players are told to go; what RTSP has no word for is refused."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.route.v3 import route_pb2
from google.protobuf import json_format

from rtsp_filter.routes.table import Chance, Redirection, RouteRequest, RouteTable, RouteTableError
from rtsp_filter.rtsp import RTSPURL


def table(redirect: dict[str, Any], **route: Any) -> RouteTable:
    routes = [{"name": "r", "match": {"prefix": "/old"}, "redirect": redirect, **route}]
    value = {"name": "rtsp", "virtual_hosts": [{"name": "any", "domains": ["*"], "routes": routes}]}
    return RouteTable.from_xds(json_format.ParseDict(value, route_pb2.RouteConfiguration()), [], [])


def answer(redirect: dict[str, Any], url: str = "rtsp://h:8554/old/x?q=1", **route: Any) -> Redirection:
    found = table(redirect, **route)
    answer = found.decide(RouteRequest.of(RTSPURL.parse(url)), Chance(found, 0.0))
    assert isinstance(answer, Redirection)
    return answer


@pytest.mark.parametrize(
    ("redirect", "url", "location"),
    [
        ({"host_redirect": "b"}, "rtsp://h:8554/old/x?q=1", "rtsp://b/old/x?q=1"),
        ({"host_redirect": "b", "port_redirect": 9}, "rtsp://h:8554/old", "rtsp://b:9/old"),
        ({"port_redirect": 9}, "rtsp://h:8554/old", "rtsp://h:9/old"),
        ({"port_redirect": 9}, "rtsp://[2001:db8::1]:8554/old", "rtsp://[2001:db8::1]:9/old"),
        ({"port_redirect": 9}, "rtsp://[2001:db8::1]/old", "rtsp://[2001:db8::1]:9/old"),
        ({"scheme_redirect": "rtsps"}, "rtsp://h:554/old", "rtsps://h/old"),
        ({"scheme_redirect": "rtsps"}, "rtsp://h:8554/old", "rtsps://h:8554/old"),
        ({"host_redirect": "b"}, "rtsps://h/old", "rtsps://b/old"),
        ({"path_redirect": "/new"}, "rtsp://h/old/x?q=1", "rtsp://h/new?q=1"),
        ({"path_redirect": "/new?r"}, "rtsp://h/old/x?q=1", "rtsp://h/new?r"),
        ({"path_redirect": "/new", "strip_query": True}, "rtsp://h/old/x?q=1", "rtsp://h/new"),
        ({"prefix_rewrite": "/new"}, "rtsp://h/old/x?q=1", "rtsp://h/new/x?q=1"),
        (
            {"regex_rewrite": {"pattern": {"regex": "^/(old)/(.*)"}, "substitution": "/\\2/\\1"}},
            "rtsp://h/old/x?q=1",
            "rtsp://h/x/old?q=1",
        ),
    ],
)
def test_what_is_not_said_stays_as_it_was_asked(redirect: dict[str, Any], url: str, location: str) -> None:
    assert answer(redirect, url).location == location


@pytest.mark.parametrize(("code", "status"), [("MOVED_PERMANENTLY", 301), ("FOUND", 302), ("SEE_OTHER", 303)])
def test_the_status_is_rtsps(code: str, status: int) -> None:
    assert answer({"host_redirect": "b", "response_code": code}).status == status


def test_an_answer_says_route_headers_and_reasons() -> None:
    added = [{"header": {"key": "X-Why", "value": "moved"}}]
    found = answer({"host_redirect": "b"}, response_headers_to_add=added)
    assert (found.virtual_host, found.route, found.match) == ("any", "r", 'starts with "/old"')
    assert found.headers.response([("Location", "x")]) == [("Location", "x"), ("X-Why", "moved")]
    assert found.reasons[-1] == ("The player is told to ask for rtsp://b/old/x?q=1 instead: redirect (301) to host b.")


@pytest.mark.parametrize(
    ("redirect", "expected"),
    [
        (
            {"response_code": "TEMPORARY_REDIRECT"},
            "response_code TEMPORARY_REDIRECT is not supported: RTSP has no such",
        ),
        ({"response_code": "PERMANENT_REDIRECT"}, "response_code PERMANENT_REDIRECT is not supported"),
        ({"https_redirect": True}, "RedirectAction.https_redirect is not supported"),
        ({"scheme_redirect": "rtsp"}, 'RedirectAction.scheme_redirect "rtsp" is not supported: only rtsps'),
    ],
)
def test_what_rtsp_has_no_word_for_is_refused(redirect: dict[str, Any], expected: str) -> None:
    with pytest.raises(RouteTableError) as caught:
        table(redirect)
    assert expected in str(caught.value)
