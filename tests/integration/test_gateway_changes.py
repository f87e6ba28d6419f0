"""What a change of documents costs the sessions of its listener, and what a restart of the control plane costs: as the
documentation says."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.peers.gateways import CHANGE_SECONDS, LOOPBACK, Document, Edge, backend, gateway, policy, resource, route
from tests.peers.mesh import Mesh, envoy_stats
from tests.peers.ports import reserve_ports
from tests.peers.process import wait_until
from tests.peers.udp_echo import EchoServer, Flow
from tests.peers.web import WebServer, ask

pytestmark = pytest.mark.integration

PROBE = {"type": "TCP", "port": 1, "interval": "60s", "unhealthyThreshold": 9}


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    with Edge(tmp_path / "documents") as edge:
        yield edge


@pytest.fixture
def red() -> Iterator[EchoServer]:
    with EchoServer("red") as server:
        yield server


def taken_after(edge: Edge, kind: str, change: Callable[[], None]) -> None:
    """Make a change, and wait until Envoy has taken an update of this kind."""
    name = f"{kind}.update_success"
    before = edge.stat(name)
    change()
    wait_until(lambda: edge.stat(name) > before, CHANGE_SECONDS, f"an update of {kind}")


@pytest.mark.parametrize(
    ("kind", "settings", "goes_on"),
    [
        ("assignment", {"session": {"onBackendChange": "Move"}}, True),
        ("cluster", {"limits": {"maxSessions": 99}}, False),
        ("listener", {"session": {"idleTimeout": "77s"}}, False),
    ],
)
def test_an_edit_of_a_policy_costs_udp_sessions_what_it_must(
    edge: Edge, red: EchoServer, kind: str, settings: Document, goes_on: bool
) -> None:
    port, blue_port = edge.take_port(), edge.take_port()
    fixed = gateway(udp_game=port), backend("red", red.port), backend("blue", blue_port)
    edge.up(*fixed, route("udp_game", red=1, blue=0))
    name = {
        "assignment": f"cluster.{resource('udp_game')}",
        "cluster": "cluster_manager.cds",
        "listener": "listener_manager.lds",
    }[kind]
    with Flow(port) as flow:
        assert flow.ask() == "red"
        documents = *fixed, route("udp_game", red=1, blue=0), policy("udp_game", **settings)
        taken_after(edge, name, lambda: edge.write(*documents))
        wait_until(lambda: flow.ask() == "red", CHANGE_SECONDS, "an answer")
        sessions = len(red.questions)
        assert (sessions == 1) is goes_on
        assert flow.ask() == "red"
        assert len(red.questions) == sessions


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("cluster_manager.cds", {"limits": {"maxSessions": 99}}),
        ("cluster_manager.cds", {"healthCheck": {**PROBE, "port": 9}}),
        ("listener_manager.lds", {"session": {"idleTimeout": "77s"}}),
    ],
)
def test_tcp_connections_survive_an_edit_of_their_policy(edge: Edge, kind: str, settings: Document) -> None:
    port = edge.take_port()
    with WebServer("red") as red:
        fixed = gateway(tcp_web=port), backend("red", red.port), route("tcp_web", red=1)
        edge.up(*fixed)
        with socket.create_connection((LOOPBACK, port), timeout=CHANGE_SECONDS) as connection:
            assert ask(connection) == "red"
            taken_after(edge, kind, lambda: edge.write(*fixed, policy("tcp_web", **settings)))
            assert ask(connection) == "red"


def test_a_listener_that_gets_another_route_keeps_the_sessions_of_the_backends_that_stay(
    edge: Edge, red: EchoServer
) -> None:
    port = edge.take_port()
    fixed = gateway(udp_game=port), backend("red", red.port)
    edge.up(*fixed, route("udp_game", red=1))
    with Flow(port) as flow, EchoServer("blue") as blue:
        assert flow.ask() == "red"
        other = route("udp_game", red=1, blue=1)
        other["metadata"]["name"] = "other"
        documents = *fixed, backend("blue", blue.port), other
        taken_after(edge, f"cluster.{resource('udp_game')}", lambda: edge.write(*documents))
        assert [flow.ask() for _ in range(10)] == ["red"] * 10
        assert len(red.questions) == 1


def test_a_server_that_terminates_and_still_serves_keeps_its_sessions_until_it_is_gone(
    edge: Edge, red: EchoServer
) -> None:
    port = edge.take_port()
    with EchoServer("blue") as blue, Flow(port) as flow:
        to_service = route("udp_game", red=1)
        to_service["spec"]["rules"] = [{"backendRefs": [{"name": "game", "port": 7000}]}]
        fixed = gateway(udp_game=port), _service(), to_service
        edge.up(*fixed, _slice("red", red.port, {"ready": True}))
        assert flow.ask() == "red"
        leaving = {"ready": False, "serving": True, "terminating": True}
        edge.write(*fixed, _slice("red", red.port, leaving), _slice("blue", blue.port, {"ready": True}))
        wait_until(lambda: _new_flow(port) == "blue", CHANGE_SECONDS, "new sessions to go elsewhere")
        assert [flow.ask() for _ in range(10)] == ["red"] * 10
        edge.write(*fixed, _slice("blue", blue.port, {"ready": True}))
        wait_until(lambda: flow.ask() == "blue", CHANGE_SECONDS, "the session to move")


def test_a_session_that_ended_is_a_line_on_standard_output_if_the_policy_says_so(edge: Edge, red: EchoServer) -> None:
    port = edge.take_port()
    logged = policy("udp_game", session={"idleTimeout": "100ms"}, accessLog={"type": "Stdout"})
    edge.up(gateway(udp_game=port), backend("red", red.port), route("udp_game", red=1), logged)
    with Flow(port) as flow:
        assert flow.ask() == "red"
        line = f'"client":"{LOOPBACK}:{flow.address[1]}"'
        edge.process.wait_until(lambda: line in edge.process.output, CHANGE_SECONDS, "the line of the session")


def test_a_restart_of_the_control_plane_costs_gateways_nothing_and_sends_nothing_again(
    tmp_path: Path, red: EchoServer
) -> None:
    file = tmp_path / "mesh.yaml"
    with reserve_ports() as ports, Mesh(slots=1) as mesh, EchoServer("blue") as blue:
        port = ports.take()
        fixed = gateway(udp_game=port), backend("red", red.port), backend("blue", blue.port)
        file.write_text("\n---\n".join(map(json.dumps, [*fixed, route("udp_game", red=1)])))
        plane, envoy = mesh.serve("-f", str(file)), mesh.envoy()
        wait_until(lambda: _has_listener(mesh), CHANGE_SECONDS, "a listener")
        with Flow(port) as flow:
            wait_until(lambda: flow.ask(timeout=0.2) == "red", CHANGE_SECONDS, "an answer")
            before = _updates(envoy)
            assert len(before) > 1
            plane.kill()
            assert flow.ask() == "red"
            mesh.serve("-f", str(file))
            wait_until(lambda: _has_listener(mesh), CHANGE_SECONDS, "Envoy back, and all told")
            assert flow.ask() == "red"
            assert len(red.questions) == 1
            assert _updates(envoy) == before
        file.write_text("\n---\n".join(map(json.dumps, [*fixed, route("udp_game", blue=1)])))
        wait_until(lambda: _new_flow(port) == "blue", CHANGE_SECONDS, "the change")


def _service() -> Document:
    ports = [{"name": "game", "port": 7000, "protocol": "UDP"}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "game"}, "spec": {"ports": ports}}


def _slice(name: str, port: int, conditions: Document) -> Document:
    """One server of the Service, at a port of its own."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "game"}},
        "addressType": "IPv4",
        "ports": [{"name": "game", "port": port, "protocol": "UDP"}],
        "endpoints": [{"addresses": [LOOPBACK], "conditions": conditions}],
    }


def _has_listener(mesh: Mesh) -> bool:
    """Whether a proxy has the listener, as the control plane knows it."""
    gateways = mesh.items("/v1/gateways")
    return [proxy["state"] for each in gateways for proxy in each["listeners"][0]["proxies"]] == ["synced"]


def _updates(envoy: object) -> dict[str, int]:
    """How often Envoy added or changed listeners and clusters."""
    return envoy_stats(
        envoy, r"^(listener_manager\.listener_(added|modified)|cluster_manager\.cluster_(added|modified))$"
    )


def _new_flow(port: int) -> str | None:
    with Flow(port) as flow:
        return flow.ask(timeout=0.5)
