"""Routes do not disturb each other: whatever is edited at one, no datagram of another one's flows is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.gateways import CHANGE_SECONDS, Document, Edge, backend, gateway, policy, resource, route
from tests.peers.process import wait_until
from tests.peers.udp_echo import EchoServer, Flow, Talker, answered_by, echo_servers, flows, shares

pytestmark = pytest.mark.integration

CALM = resource("udp_calm")
ROUNDS = 20


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    with Edge(tmp_path / "documents") as edge:
        yield edge


@pytest.fixture
def servers() -> Iterator[list[EchoServer]]:
    with echo_servers("red", "blue") as servers:
        yield servers


class Scene:
    """A mesh with two listeners, `udp_calm` and `udp_busy`; the documents of the busy one's route are edited."""

    def __init__(self, edge: Edge, servers: list[EchoServer]) -> None:
        self.edge = edge
        self.calm, self.busy = edge.take_port(), edge.take_port()
        edge.up(
            gateway(udp_calm=self.calm, udp_busy=self.busy),
            route("udp_calm", red=1, blue=1),
            *(backend(server.name, server.port) for server in servers),
            route("udp_busy", red=1),
        )
        self._servers = servers

    def edit(self, *busy: Document, **listeners: int) -> None:
        """Replace the documents of the busy listener, and add listeners."""
        self.edge.write(
            gateway(udp_calm=self.calm, udp_busy=self.busy, **listeners),
            route("udp_calm", red=1, blue=1),
            *(backend(server.name, server.port) for server in self._servers),
            *busy,
        )


def test_edits_of_a_route_lose_no_datagram_of_another(edge: Edge, servers: list[EchoServer]) -> None:
    scene = Scene(edge, servers)
    with flows(scene.calm, 6) as calm, Flow(scene.busy) as busy:
        before = answered_by(calm)
        sessions = edge.stat(f"udp.{CALM}.downstream_sess_total")
        with Talker(calm) as talker:
            # Endpoints, then the cluster (limits), then the listener (timers), then all of it away, then back.
            scene.edit(route("udp_busy", blue=1))
            wait_until(lambda: busy.ask(timeout=0.2) == "blue", CHANGE_SECONDS, "the other backend")
            scene.edit(route("udp_busy", blue=1), policy("udp_busy", limits={"maxSessions": 1}))
            wait_until(lambda: refuses_a_second(scene), CHANGE_SECONDS, "the limit")
            scene.edit(route("udp_busy", blue=1), policy("udp_busy", session={"idleTimeout": "100ms"}))
            wait_until(lambda: idles(scene), CHANGE_SECONDS, "the idle time")
            scene.edit()
            wait_until(lambda: not edge.listening([resource("udp_busy")]), CHANGE_SECONDS, "the listener's end")
            scene.edit(route("udp_busy", red=1))
            wait_until(lambda: busy.ask(timeout=0.2) == "red", CHANGE_SECONDS, "the listener's return")
            settled = talker.answered()
            wait_until(lambda: talker.answered() > settled + ROUNDS, CHANGE_SECONDS, "more answers")
        assert [set(talk.answers) for talk in talker.talks] == [{name} for name in before]
        assert not sum(talk.lost for talk in talker.talks)
        assert edge.stat(f"udp.{CALM}.downstream_sess_total") == sessions


def test_twenty_listeners_more_lose_no_datagram_of_another(edge: Edge, servers: list[EchoServer]) -> None:
    scene = Scene(edge, servers)
    more = {f"udp_extra{number}": edge.take_port() for number in range(20)}
    with flows(scene.calm, 6) as calm:
        before = answered_by(calm)
        with Talker(calm) as talker:
            scene.edit(*(route(listener, red=1) for listener in more), **more)
            names = [resource(listener) for listener in more]
            wait_until(lambda: edge.listening(names), CHANGE_SECONDS, "the listeners")
            assert all(set(shares(port, 1)) == {"red"} for port in more.values())
            scene.edit()
            wait_until(lambda: not set(names) & set(edge.listeners()), CHANGE_SECONDS, "the listeners' end")
        assert [set(talk.answers) for talk in talker.talks] == [{name} for name in before]
        assert not sum(talk.lost for talk in talker.talks)


def test_a_bad_edit_changes_nothing(edge: Edge, servers: list[EchoServer]) -> None:
    scene = Scene(edge, servers)
    with flows(scene.calm, 2) as calm, Flow(scene.busy) as busy, Talker([*calm, busy]) as talker:
        scene.edit(route("udp_busy", nobody=1))
        wait_until(lambda: bool(edge.mesh.items("/v1/sources")[0]["errors"]), CHANGE_SECONDS, "a complaint")
        settled = talker.answered()
        wait_until(lambda: talker.answered() > settled + ROUNDS, CHANGE_SECONDS, "more answers")
    assert not sum(talk.lost for talk in talker.talks)


def refuses_a_second(scene: Scene) -> bool:
    with flows(scene.busy, 2) as pair:
        return answered_by(pair, timeout=0.1)[1] is None


def idles(scene: Scene) -> bool:
    """Whether a session, of a flow that was closed, has ended by the time that it was idle."""
    shares(scene.busy, 1)
    return scene.edge.stat(f"udp.{resource('udp_busy')}.idle_timeout") > 0
