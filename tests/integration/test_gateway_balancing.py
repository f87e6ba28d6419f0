"""Which backend a UDP session goes to: by weight, by a hash of the client's address, or anew with every datagram."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.peers.gateways import CHANGE_SECONDS, Edge, backend, gateway, policy, resource, route
from tests.peers.mesh import children
from tests.peers.process import wait_until
from tests.peers.udp_echo import EchoServer, Flow, Talker, answered_by, echo_servers, shares

pytestmark = pytest.mark.integration

MAGLEV = policy("udp_game", balancing={"algorithm": "Maglev"})
PER_PACKET = policy("udp_game", balancing={"perPacket": True})
# All of 127.0.0.0/8 is this machine's.
CLIENTS = [f"127.0.7.{number}" for number in range(1, 61)]


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    with Edge(tmp_path / "documents") as edge:
        yield edge


@pytest.fixture
def servers() -> Iterator[dict[str, EchoServer]]:
    with echo_servers("red", "blue", "green") as servers:
        yield {server.name: server for server in servers}


def backends(servers: dict[str, EchoServer]) -> list[dict[str, object]]:
    return [backend(server.name, server.port) for server in servers.values()]


def homes(port: int) -> dict[str, str | None]:
    """Who answers a new flow of each client address."""
    return {client: next(iter(shares(port, 1, source=client))) for client in CLIENTS}


def test_new_flows_are_shared_by_weight(edge: Edge, servers: dict[str, EchoServer]) -> None:
    port = edge.take_port()
    edge.up(gateway(udp_game=port), route("udp_game", red=3, blue=1), *backends(servers))
    # Round robin is exact; each worker has a round of its own.
    assert shares(port, 80) == {"red": pytest.approx(60, abs=4), "blue": pytest.approx(20, abs=4)}


def test_a_backend_has_its_weight_however_many_endpoints_it_has(edge: Edge, servers: dict[str, EchoServer]) -> None:
    port, (red, blue, green) = edge.take_port(), servers.values()
    pair = backend("pair", blue.port, green.port)
    edge.up(gateway(udp_game=port), route("udp_game", red=1, pair=1), backend("red", red.port), pair)
    about_a_quarter = pytest.approx(20, abs=4)
    counted = shares(port, 80)
    assert counted == {"red": pytest.approx(40, abs=4), "blue": about_a_quarter, "green": about_a_quarter}


def test_flows_of_one_address_have_one_backend_even_after_envoy_was_killed(
    edge: Edge, servers: dict[str, EchoServer]
) -> None:
    port = edge.take_port()
    edge.up(gateway(udp_game=port), route("udp_game", red=1, blue=1), *backends(servers), MAGLEV)
    before = homes(port)
    assert set(before.values()) == {"red", "blue"}
    assert homes(port) == before
    (pid,) = children(edge.process, "envoy")
    os.kill(pid, SIGKILL)
    with Flow(port) as flow:
        wait_until(lambda: children(edge.process, "envoy") not in ([], [pid]), CHANGE_SECONDS, "another Envoy")
        wait_until(lambda: flow.ask(timeout=0.1) is not None, CHANGE_SECONDS, "answers through it")
    assert homes(port) == before


def test_a_backend_that_comes_takes_its_share_of_addresses_and_moves_no_flow(
    edge: Edge, servers: dict[str, EchoServer]
) -> None:
    port = edge.take_port()
    fixed = (gateway(udp_game=port), *backends(servers), MAGLEV)
    edge.up(*fixed, route("udp_game", red=1, blue=1))
    before = homes(port)
    flows = [Flow(port, source=client) for client in CLIENTS[:6]]
    first = answered_by(flows)
    with Talker(flows) as talker:
        edge.write(*fixed, route("udp_game", red=1, blue=1, green=1))
        wait_until(lambda: "green" in homes(port).values(), CHANGE_SECONDS, "flows of the third backend")
    after = homes(port)
    moved = {client for client in CLIENTS if after[client] != before[client]}
    assert {after[client] for client in moved} == {"green"}
    assert len(moved) < len(CLIENTS) / 2
    assert [set(talk.answers) for talk in talker.talks] == [{name} for name in first]
    assert not sum(talk.lost for talk in talker.talks)
    for flow in flows:
        flow.close()


def test_balanced_by_packet_the_datagrams_of_one_flow_go_to_all_backends(
    edge: Edge, servers: dict[str, EchoServer]
) -> None:
    port = edge.take_port()
    edge.up(gateway(udp_game=port), route("udp_game", red=3, blue=1), *backends(servers), PER_PACKET)
    with Flow(port) as flow:
        counted = Counter(flow.ask() for _ in range(80))
    assert counted == {"red": 60, "blue": 20}  # one flow is one worker, whose rounds are exact
    assert edge.stat(f"udp.{resource('udp_game')}.downstream_sess_total") == 2  # the flow, at each backend


def test_balanced_by_packet_no_datagram_goes_to_a_backend_that_left(edge: Edge, servers: dict[str, EchoServer]) -> None:
    port = edge.take_port()
    fixed = (gateway(udp_game=port), *backends(servers), PER_PACKET)
    edge.up(*fixed, route("udp_game", red=1, blue=1))
    with Flow(port) as flow:
        assert {flow.ask() for _ in range(8)} == {"red", "blue"}
        edge.write(*fixed, route("udp_game", red=0, blue=1))
        wait_until(lambda: {flow.ask() for _ in range(8)} == {"blue"}, CHANGE_SECONDS, "all datagrams at one backend")
        assert {flow.ask() for _ in range(40)} == {"blue"}
