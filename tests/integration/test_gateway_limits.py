"""What bounds UDP sessions of a route: their number, idle time, the health of their backend; and what is logged."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.peers.gateways import CHANGE_SECONDS, LOOPBACK, Edge, backend, gateway, policy, resource, route
from tests.peers.process import wait_until
from tests.peers.udp_echo import FLOWS_OF_ALL_WORKERS, EchoServer, Flow, answered_by, flows, shares

pytestmark = pytest.mark.integration

NAME = resource("udp_game")
LIMIT = 3
# All of 127.0.0.0/8 is this machine's.
CLIENTS = [f"127.0.7.{number}" for number in range(1, 17)]
IDLE_SECONDS = 0.5
# Longer than a busy machine may be elsewhere between two datagrams.
KEPT_SECONDS = 1.5
MAXIMUM_SECONDS = 1.0
# Less than the ten seconds that Envoy keeps lines for unless told otherwise.
LOG_SECONDS = 6.0
# A refused datagram is not answered; a good one on loopback is answered in a millisecond.
REFUSED_SECONDS = 0.3


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    with Edge(tmp_path / "documents") as edge:
        yield edge


@pytest.fixture
def red() -> Iterator[EchoServer]:
    with EchoServer("red") as server:
        yield server


def start(edge: Edge, red: EchoServer, **settings: dict[str, Any]) -> int:
    """Start a mesh whose route to `red` has a policy of these settings. The port of its listener."""
    port = edge.take_port()
    edge.up(gateway(udp_game=port), route("udp_game", red=1), backend("red", red.port), policy("udp_game", **settings))
    return port


def active(edge: Edge) -> int:
    return edge.stat(f"udp.{NAME}.downstream_sess_active")


def test_a_session_above_the_limit_is_refused_and_counted_and_the_others_go_on(edge: Edge, red: EchoServer) -> None:
    port = start(edge, red, limits={"maxSessions": LIMIT})
    with flows(port, LIMIT) as admitted, Flow(port) as stranger:
        assert set(answered_by(admitted)) == {"red"}
        assert [stranger.ask(timeout=REFUSED_SECONDS) for _ in range(2)] == [None, None]
        assert set(answered_by(admitted)) == {"red"}
        assert active(edge) == LIMIT
        assert edge.stat(f"cluster.{NAME}.upstream_cx_overflow") == 2  # one for each datagram


def test_a_session_that_ended_makes_room_for_another(edge: Edge, red: EchoServer) -> None:
    port = start(edge, red, limits={"maxSessions": 1}, session={"idleTimeout": f"{IDLE_SECONDS * 1000:.0f}ms"})
    with Flow(port) as first, Flow(port) as second:
        assert first.ask() == "red"
        assert second.ask(timeout=REFUSED_SECONDS / 2) is None
        wait_until(lambda: second.ask(timeout=REFUSED_SECONDS) == "red", CHANGE_SECONDS, "room for another")
        assert first.ask(timeout=REFUSED_SECONDS / 2) is None


def test_a_session_ends_when_it_was_idle_and_not_before(edge: Edge, red: EchoServer) -> None:
    port = start(edge, red, session={"idleTimeout": f"{IDLE_SECONDS * 1000:.0f}ms"})
    with Flow(port) as flow:
        assert flow.ask() == "red"
        began = monotonic()
        wait_until(lambda: not active(edge), CHANGE_SECONDS, "the end of the session")
        assert monotonic() - began >= 0.9 * IDLE_SECONDS
        assert edge.stat(f"udp.{NAME}.idle_timeout") == 1
        assert flow.ask() == "red"
    assert len(red.questions) == 2  # from another port of Envoy the second time


def test_what_the_server_says_keeps_a_session_too(edge: Edge, red: EchoServer) -> None:
    port = start(edge, red, session={"idleTimeout": f"{KEPT_SECONDS * 1000:.0f}ms"})
    with Flow(port) as flow:
        assert flow.ask() == "red"
        (session,) = red.questions
        until = monotonic() + 2 * KEPT_SECONDS
        while monotonic() < until:
            red.say(session, b"tick")
            assert flow.receive() == b"tick"
            assert not flow.receive(timeout=KEPT_SECONDS / 5)  # nothing else comes in the meantime
        assert edge.stat(f"udp.{NAME}.idle_timeout") == 0
        assert edge.stat(f"udp.{NAME}.downstream_sess_total") == 1


def test_the_access_log_has_one_line_for_a_session_with_who_where_and_how_much(
    edge: Edge, red: EchoServer, tmp_path: Path
) -> None:
    log = tmp_path / "sessions.log"
    port = start(
        edge,
        red,
        session={"idleTimeout": f"{IDLE_SECONDS * 1000:.0f}ms"},
        limits={"maxSessions": 1},
        accessLog={"type": "File", "path": str(log)},
    )
    with Flow(port) as flow, Flow(port) as refused:
        for _ in range(9):
            assert flow.ask() == "red"
        assert refused.ask(timeout=REFUSED_SECONDS) is None
        wait_until(lambda: log.exists() and bool(log.read_text()), CHANGE_SECONDS, "a line in the log")
        (line,) = log.read_text().splitlines()
        client, server = f"{LOOPBACK}:{flow.address[1]}", f"{LOOPBACK}:{red.port}"
    entry = json.loads(line)
    assert (entry["client"], entry["endpoint"], entry["local"]) == (client, server, f"{LOOPBACK}:{port}")
    assert (entry["listener"], entry["route"], entry["protocol"]) == (NAME, "default/udp-game", "UDP")
    assert (entry["datagrams_received"], entry["datagrams_sent"], entry["flags"]) == (9, 9, "-")
    assert (entry["bytes_received"], entry["bytes_sent"]) == (9, 9 * len("red 1"))
    assert entry["duration_ms"] >= 0.9 * IDLE_SECONDS * 1000


def test_the_access_log_on_standard_output_is_that_of_the_mesh_and_tells_soon(edge: Edge, red: EchoServer) -> None:
    port = start(edge, red, session={"idleTimeout": "100ms"}, accessLog={"type": "Stdout"})
    for _ in range(2):  # the first line is written at once in any case
        with Flow(port) as flow:
            assert flow.ask() == "red"
            line = edge.process.wait_for_line(f'"client":"{LOOPBACK}:{flow.address[1]}"', timeout=LOG_SECONDS)
        assert json.loads(line.string)["endpoint"] == f"{LOOPBACK}:{red.port}"


@pytest.mark.parametrize("times", [{"idleTimeout": "100ms"}, {"idleTimeout": "1h"}], ids=["idle", "maximum"])
def test_sessions_with_a_maximum_time_are_logged_whichever_time_ends_them(
    edge: Edge, red: EchoServer, tmp_path: Path, times: dict[str, str]
) -> None:
    log = tmp_path / "sessions.log"
    session = {"maxDuration": f"{MAXIMUM_SECONDS * 1000:.0f}ms", **times}
    port = start(edge, red, session=session, accessLog={"type": "File", "path": str(log)})
    with Flow(port) as flow:
        assert flow.ask() == "red"
        wait_until(lambda: log.exists() and bool(log.read_text()), CHANGE_SECONDS, "a line in the log")
        (entry,) = map(json.loads, log.read_text().splitlines())
        assert entry["client"] == f"{LOOPBACK}:{flow.address[1]}"
    assert (entry["datagrams_received"], entry["datagrams_sent"]) == (1, 1)


def test_a_health_check_takes_a_backend_out_and_its_flows_move(edge: Edge) -> None:
    # Every endpoint of a route is probed at one port, so two endpoints need two addresses.
    here, there = "127.0.7.1", "127.0.7.2"
    port, probed = edge.take_port(), edge.take_port()
    check = {"type": "TCP", "port": probed, "interval": "500ms", "timeout": "500ms", "unhealthyThreshold": 2}
    with (
        EchoServer("red", address=here) as red,
        EchoServer("blue", address=there) as blue,
        closing(socket.create_server((there, probed))),
    ):
        alive = socket.create_server((here, probed))
        edge.up(
            gateway(udp_game=port),
            route("udp_game", red=1, blue=1),
            backend("red", red.port, address=here),
            backend("blue", blue.port, address=there),
            policy("udp_game", healthCheck=check),
        )
        with alive, flows(port, 6) as playing:
            wait_until(lambda: set(answered_by(playing)) == {"red", "blue"}, CHANGE_SECONDS, "both backends")
        with flows(port, 6) as playing:
            assert answered_by(playing)
            wait_until(lambda: set(answered_by(playing)) == {"blue"}, CHANGE_SECONDS, "a move to the healthy backend")
            assert set(shares(port, FLOWS_OF_ALL_WORKERS)) == {"blue"}
        with socket.create_server((here, probed)):
            wait_until(
                lambda: set(shares(port, FLOWS_OF_ALL_WORKERS)) == {"red", "blue"},
                CHANGE_SECONDS,
                "both backends again",
            )


def test_a_session_ends_after_its_maximum_time_although_it_is_busy_and_the_flow_begins_another(
    edge: Edge, red: EchoServer
) -> None:
    port = start(edge, red, session={"maxDuration": f"{MAXIMUM_SECONDS * 1000:.0f}ms"})
    with Flow(port) as flow:
        began = monotonic()
        assert flow.ask() == "red"
        answers = []
        while len(red.questions) < 3:  # every session comes from another port of Envoy
            assert monotonic() - began < CHANGE_SECONDS
            answers.append(flow.ask())
        assert monotonic() - began >= 0.9 * 2 * MAXIMUM_SECONDS
    assert answers.count(None) <= 2  # one datagram may be on its way when a session ends
    assert edge.stat(f"http.{NAME}.downstream_rq_max_duration_reached") == 2


def test_flows_of_one_address_have_one_backend_and_stick_to_it_also_where_sessions_have_a_maximum_time(
    edge: Edge,
) -> None:
    with EchoServer("red") as red, EchoServer("blue") as blue:
        port = edge.take_port()
        settings = policy("udp_game", session={"maxDuration": "1h"}, balancing={"algorithm": "Maglev"})
        fixed = (gateway(udp_game=port), backend("red", red.port), backend("blue", blue.port), settings)
        edge.up(*fixed, route("udp_game", red=1, blue=1))
        homes = [shares(port, 3, source=client) for client in CLIENTS]
        assert all(len(home) == 1 for home in homes)
        assert {name for home in homes for name in home} == {"red", "blue"}
        with flows(port, 4) as playing:
            (home,) = set(answered_by(playing))
            other = "blue" if home == "red" else "red"
            edge.write(*fixed, route("udp_game", **{str(home): 0, other: 1}))
            wait_until(
                lambda: set(shares(port, FLOWS_OF_ALL_WORKERS)) == {other},
                CHANGE_SECONDS,
                "new flows to the other backend",
            )
            assert set(answered_by(playing)) == {home}
