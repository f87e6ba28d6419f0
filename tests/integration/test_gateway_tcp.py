"""TCPRoute: connections of httpx to HTTP servers that know nothing of the mesh."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic

import httpx
import pytest

from tests.peers.gateways import CHANGE_SECONDS, LOOPBACK, Document, Edge, backend, gateway, policy, resource, route
from tests.peers.process import wait_until
from tests.peers.web import WebServer, ask

pytestmark = pytest.mark.integration

NAME = resource("tcp_web")
SHORT_SECONDS = 0.5
SHORT = "500ms"


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    with Edge(tmp_path / "documents") as edge:
        yield edge


class Scene:
    """A mesh whose route sends connections to the servers `red` and `blue`."""

    def __init__(self, edge: Edge, servers: list[WebServer], *more: Document, **weights: int) -> None:
        self.edge = edge
        self.port = edge.take_port()
        self._fixed = (
            gateway(tcp_web=self.port),
            *(backend(server.name, server.port) for server in servers),
            *more,
        )
        edge.up(*self._fixed, route("tcp_web", **weights))

    def weigh(self, **weights: int) -> None:
        """Change the route's backends."""
        self.edge.write(*self._fixed, route("tcp_web", **weights))

    def client(self) -> httpx.Client:
        """Of one connection, which it keeps."""
        limits = httpx.Limits(max_connections=1)
        return httpx.Client(base_url=f"http://{LOOPBACK}:{self.port}", limits=limits, trust_env=False)

    def shares(self, count: int) -> Counter[str]:
        """Which servers get as many new connections."""
        counted: Counter[str] = Counter()
        for _ in range(count):
            with self.client() as client:
                counted[client.get("/").text] += 1
        return counted

    def connect(self) -> socket.socket:
        return socket.create_connection((LOOPBACK, self.port), timeout=CHANGE_SECONDS)


@pytest.fixture
def servers() -> Iterator[list[WebServer]]:
    with WebServer("red") as red, WebServer("blue") as blue:
        yield [red, blue]


def test_connections_are_shared_by_weight(edge: Edge, servers: list[WebServer]) -> None:
    scene = Scene(edge, servers, red=3, blue=1)
    assert scene.shares(40) == {"red": pytest.approx(30, abs=4), "blue": pytest.approx(10, abs=4)}


def test_connections_stick_to_a_backend_that_gets_no_new_ones(edge: Edge, servers: list[WebServer]) -> None:
    scene = Scene(edge, servers, red=1)
    with scene.client() as client:
        assert client.get("/").text == "red"
        scene.weigh(red=0, blue=1)
        wait_until(lambda: set(scene.shares(4)) == {"blue"}, CHANGE_SECONDS, "new connections to the other server")
        assert client.get("/").text == "red"


def test_connections_to_a_server_that_fails_its_probes_end_and_new_ones_go_elsewhere(
    edge: Edge, servers: list[WebServer]
) -> None:
    probe = {"type": "HTTP", "path": "/", "interval": "500ms", "timeout": "500ms", "unhealthyThreshold": 1}
    scene = Scene(edge, servers, policy("tcp_web", healthCheck=probe), red=1, blue=1)
    red, _ = servers
    with ExitStack() as stack:
        wait_until(lambda: set(scene.shares(4)) == {"red", "blue"}, CHANGE_SECONDS, "both servers")
        connections = [stack.enter_context(scene.connect()) for _ in range(4)]
        served = [ask(connection) for connection in connections]
        red.healthy = False
        assert connections[served.index("red")].recv(1) == b""
        wait_until(lambda: set(scene.shares(4)) == {"blue"}, CHANGE_SECONDS, "new connections to the healthy server")
        assert ask(connections[served.index("blue")]) == "blue"


def test_a_connection_ends_when_it_was_idle(edge: Edge, servers: list[WebServer]) -> None:
    scene = Scene(edge, servers, policy("tcp_web", session={"idleTimeout": SHORT}), red=1)
    with scene.connect() as connection:
        assert ask(connection) == "red"
        began = monotonic()
        assert connection.recv(1) == b""
    assert monotonic() - began >= 0.9 * SHORT_SECONDS
    assert edge.stat(f"tcp.{NAME}.idle_timeout") == 1


def test_a_connection_ends_after_its_maximum_time_although_it_is_busy(edge: Edge, servers: list[WebServer]) -> None:
    scene = Scene(edge, servers, policy("tcp_web", session={"maxDuration": SHORT}), red=1)
    began = monotonic()
    with scene.connect() as connection, suppress(ConnectionError):
        while ask(connection) == "red":
            assert monotonic() - began < CHANGE_SECONDS
    assert monotonic() - began >= 0.9 * SHORT_SECONDS
    assert edge.stat(f"tcp.{NAME}.max_downstream_connection_duration") == 1


def test_a_connection_above_the_limit_is_closed_and_counted(edge: Edge, servers: list[WebServer]) -> None:
    scene = Scene(edge, servers, policy("tcp_web", limits={"maxSessions": 2}), red=1)
    with ExitStack() as stack:
        admitted = [stack.enter_context(scene.connect()) for _ in range(2)]
        assert [ask(connection) for connection in admitted] == ["red", "red"]
        with scene.connect() as stranger, suppress(ConnectionResetError):
            assert not ask(stranger)
        assert [ask(connection) for connection in admitted] == ["red", "red"]
    assert edge.stat(f"cluster.{NAME}.upstream_cx_overflow") == 1
