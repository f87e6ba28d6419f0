"""Gateways on all addresses of both families, and backends by host name and over IPv6."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.gateways import CHANGE_SECONDS, Edge, backend, gateway, policy, route
from tests.peers.mesh import Mesh
from tests.peers.process import START_SECONDS, wait_until
from tests.peers.udp_echo import LOOPBACK, LOOPBACK_6, EchoServer, Flow

pytestmark = pytest.mark.integration

# Nobody answers at the port of discards.
DEAD_PROBE = {"type": "TCP", "port": 9, "interval": "100ms", "timeout": "100ms", "unhealthyThreshold": 1}


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    with Edge(tmp_path / "documents") as edge:
        yield edge


@pytest.mark.parametrize(("server", "named"), [(LOOPBACK, "localhost"), (LOOPBACK, LOOPBACK), (LOOPBACK_6, LOOPBACK_6)])
def test_players_of_both_families_reach_a_backend_of_either(edge: Edge, server: str, named: str) -> None:
    port = edge.take_port()
    everywhere = gateway(udp_game=port)
    everywhere["spec"]["addresses"] = [{"value": "0.0.0.0"}, {"value": "::"}]
    with EchoServer("red", address=server) as red:
        edge.up(everywhere, backend("red", red.port, address=named), route("udp_game", red=1))
        for source in (LOOPBACK, LOOPBACK_6):
            with Flow(port, source=source) as flow:
                assert [flow.ask() for _ in range(3)] == ["red"] * 3


def test_when_every_probe_fails_the_servers_are_tried_all_the_same(edge: Edge) -> None:
    port = edge.take_port()
    with EchoServer("red") as red:
        fixed = gateway(udp_game=port), backend("red", red.port), route("udp_game", red=1)
        edge.up(*fixed, policy("udp_game", healthCheck=DEAD_PROBE))
        failed = r"cluster\.gateway/default/edge/udp-game\.membership_healthy"
        edge.process.wait_until(lambda: list(edge.stats(failed).values()) == [0], CHANGE_SECONDS, "no healthy server")
        with Flow(port) as flow:
            assert flow.ask() == "red"


def test_a_port_that_another_program_has_is_named_before_anything_starts(edge: Edge) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, Mesh(slots=1) as mesh:
        # As another Envoy would have it: willing to share.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind((LOOPBACK, 0))
        port = other.getsockname()[1]
        edge.write(gateway(udp_game=port), backend("red", 7), route("udp_game", red=1))
        listen = ("--rtsp", mesh.rtsp, "--api", mesh.api, "--xds", mesh.xds, "--media-ports", mesh.media_ports)
        up = mesh.start("up", *listen, "-f", str(edge.folder))
        up.wait_for_line(f"UDP port {port} at {LOOPBACK} cannot be had: Address already in use")
        wait_until(lambda: not up.running, START_SECONDS, "its end")
