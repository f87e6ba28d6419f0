"""Every matcher, redirect and header action of Envoy's that RTSP routes honour means with us what it means with Envoy.

Each has a route of its own in one RouteConfiguration, and is asked all that could make a difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_pb2
from google.protobuf import json_format

from rtsp_filter.routes.table import RouteRequest, RouteTable
from rtsp_filter.rtsp import Headers
from tests.peers.routing_envoy import RoutingEnvoy, routed

pytestmark = pytest.mark.integration

CLUSTER = "cams"
_TO = {"cluster": CLUSTER}
_ADDRESS = {"socket_address": {"address": "192.0.2.1", "port_value": 554}}

# What only a RouteConfiguration can say: a route for each, whose path is its number.
CONDITIONS: tuple[dict[str, Any], ...] = (
    *(
        {"headers": [{"name": "x-site", **matcher, **how}]}
        for matcher in (
            {},
            {"present_match": True},
            {"present_match": False},
            {"string_match": {"exact": "One"}},
            {"string_match": {"exact": "one", "ignore_case": True}},
            {"string_match": {"exact": ""}},
            {"string_match": {"prefix": "on"}},
            {"string_match": {"suffix": "E", "ignore_case": True}},
            {"string_match": {"contains": "N", "ignore_case": True}},
            {"string_match": {"safe_regex": {"regex": "o?n?e?"}}},
            {"range_match": {"start": -5, "end": 7}},
        )
        for how in ({}, {"invert_match": True}, {"treat_missing_header_as_empty": True})
    ),
    {"headers": [{"name": ":method", "string_match": {"exact": "POST"}}]},
    {"headers": [{"name": ":method", "string_match": {"exact": "POST"}, "invert_match": True}]},
    {"query_parameters": [{"name": "q"}]},
    {"query_parameters": [{"name": "q", "present_match": True}]},
    {"query_parameters": [{"name": "q", "string_match": {"exact": ""}}]},
    {"query_parameters": [{"name": "q", "string_match": {"exact": "A", "ignore_case": True}}]},
    {"query_parameters": [{"name": "q", "string_match": {"prefix": "a%"}}]},
)
# A header that is taken as empty where it is missing is never missing.
NEVER = {"condition 8"}
SITES: tuple[tuple[str, ...], ...] = ((), ("",), ("one",), ("One",), ("one", "two"), ("6",), ("7",), ("-5",), ("+6",))
QUERIES = ("", "?", "?q", "?q=", "?q=a", "?q=b&q=a", "?r=1&q=a%41", "?q=a=b&r=x", "?Q=a", "?r=q=a", "?q=a&r")
REDIRECTS: tuple[dict[str, Any], ...] = (
    {"host_redirect": "b.example"},
    {"host_redirect": "b.example", "port_redirect": 9, "response_code": "FOUND"},
    {"port_redirect": 9, "response_code": "SEE_OTHER"},
    {"path_redirect": "/new"},
    {"path_redirect": "/new?r=2"},
    {"path_redirect": "/new", "strip_query": True},
    {"path_redirect": "/new?r=2", "strip_query": True},
    {"prefix_rewrite": "/new", "strip_query": True},
    {"prefix_rewrite": "new"},
    {"regex_rewrite": {"pattern": {"regex": "/r([0-9]+)/"}, "substitution": "/x-\\1/"}},
)
# A virtual host each.
TEMPLATES = (
    "/cams/*",
    "/cams/{site}",
    "/cams/{site}/{camera}",
    "/cams/**",
    "/{all=**}",
    "/{site=cams/*}/live",
    "/**/live",
    "/cams/{a}.b",
    "/{a}/{b}/**.sdp",
    "/{rest=cams/**}",
    "/cams/*/live",
    "/*/**.sdp",
    "/cams",
    "/cams/",
)
TEMPLATE_PATHS = (
    "/",
    "/cams",
    "/cams/",
    "/cams/a",
    "/cams/a/",
    "/cams/a/b",
    "/cams/a/b/c.sdp",
    "/cams/.sdp",
    "/cams/a/live",
    "/cams/a.b",
    "/cams/a.b.c?q=/x",
    "/cams/a%20b",
    "/cams/a|b",
    "/cams/a*b",
    "/cams/a=b",
    "/cams/-._~%!$&'()+,;:@",
    "/cams/[a]",
)
ASKED = (("h.example", ""), ("h.example:8554", "?q=1"), ("[2001:db8::1]:8554", "?"), ("[2001:db8::1]", "?q"))
ACTIONS = ("APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS", "OVERWRITE_IF_EXISTS_OR_ADD")
LEVELS: tuple[tuple[tuple[str, str], ...], ...] = ((), (("X-Level", "a"),), (("X-Level", "a"), ("x-level", "b")))


def _configuration(*, most_specific_wins: bool) -> Any:
    """Virtual hosts for conditions, for redirects, and one for each two header actions of route and virtual host."""
    hosts = [
        {
            "name": "conditions",
            "domains": ["conditions.example"],
            "routes": [
                {"name": f"condition {number}", "match": {"path": f"/{number}", **condition}, "route": _TO}
                for number, condition in enumerate(CONDITIONS)
            ],
        },
        {
            "name": "redirects",
            "domains": ["*"],
            "routes": [
                {"name": f"redirect {number}", "match": {"prefix": f"/r{number}"}, "redirect": redirect}
                for number, redirect in enumerate(REDIRECTS)
            ],
        },
        *(_host_of_headers(inner, outer) for inner, outer in product(ACTIONS, repeat=2)),
        *(_host_of_template(number, template) for number, template in enumerate(TEMPLATES)),
    ]
    value = {
        "name": "rtsp",
        "virtual_hosts": hosts,
        "most_specific_header_mutations_wins": most_specific_wins,
        "request_headers_to_remove": ["x-other"],
        **_adding("all", "APPEND_IF_EXISTS_OR_ADD"),
    }
    return json_format.ParseDict(value, route_pb2.RouteConfiguration())


def _host_of_headers(inner: str, outer: str) -> dict[str, Any]:
    route = {"name": "headers", "match": {"prefix": "/"}, "route": _TO, **_adding("route", inner)}
    removing = {**route, "name": "removing", "match": {"prefix": "/remove"}, "request_headers_to_remove": ["X-level"]}
    domain = f"{inner}.{outer}.example".lower().replace("_", "-")
    return {"name": domain, "domains": [domain], "routes": [removing, route], **_adding("host", outer)}


def _host_of_template(number: int, template: str) -> dict[str, Any]:
    config = {
        "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
        "path_template": template,
    }
    match = {
        "path_match_policy": {"name": "envoy.path.match.uri_template.uri_template_matcher", "typed_config": config}
    }
    domain = f"template-{number}.example"
    rewrite = {"regex_rewrite": {"pattern": {"regex": "^/cams/"}, "substitution": "/new/"}}
    action = _TO | (rewrite if number % 2 else {})
    return {"name": domain, "domains": [domain], "routes": [{"name": template, "match": match, "route": action}]}


def _adding(value: str, action: str) -> dict[str, Any]:
    added = [{"header": {"key": "X-Level", "value": value}, "append_action": action}]
    return {"request_headers_to_add": added, "response_headers_to_add": added}


def _questions(configuration: Any) -> Iterator[RouteRequest]:
    for number, condition in enumerate(CONDITIONS):
        for sites, query in product(SITES, QUERIES[:1]) if "headers" in condition else product(SITES[:1], QUERIES):
            headers = Headers([("X-Site", site) for site in sites])
            yield RouteRequest(host="conditions.example", path=f"/{number}{query}", method="GET", headers=headers)
        yield RouteRequest(host="conditions.example", path=f"/{number}", method="POST")
    for number, (host, query) in product(range(len(REDIRECTS)), ASKED):
        yield RouteRequest(host=host, path=f"/r{number}/x{query}", method="GET")
    for virtual_host, path, levels in product(configuration.virtual_hosts[2:18], ("/", "/remove"), LEVELS):
        headers = Headers([*levels, ("X-Other", "1")])
        yield RouteRequest(host=virtual_host.domains[0], path=path, method="GET", headers=headers)
    for virtual_host, path in product(configuration.virtual_hosts[18:], TEMPLATE_PATHS):
        yield RouteRequest(host=virtual_host.domains[0], path=path, method="GET")


@pytest.mark.parametrize("most_specific_wins", [False, True])
def test_envoy_and_the_route_table_mean_the_same(tmp_path: Path, most_specific_wins: bool) -> None:
    configuration = _configuration(most_specific_wins=most_specific_wins)
    cluster = {"name": CLUSTER, "type": "EDS"}
    assignment = {"cluster_name": CLUSTER, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _ADDRESS}}]}]}
    table = RouteTable.from_xds(
        configuration,
        [json_format.ParseDict(cluster, cluster_pb2.Cluster())],
        [json_format.ParseDict(assignment, endpoint_pb2.ClusterLoadAssignment())],
    )
    questions = list(_questions(configuration))
    ours = [routed(table, question) for question in questions]
    with RoutingEnvoy(configuration, [CLUSTER], tmp_path) as envoy:
        envoys = [envoy.routed(question) for question in questions]
    different = [each for each in zip(questions, ours, envoys, strict=True) if each[1] != each[2]]
    assert different == [], "\n".join(map(str, different))
    routes = {route.name for host in configuration.virtual_hosts for route in host.routes}
    assert {answer.route for answer in ours} - {""} == routes - NEVER
