"""UDP sessions while backends change: they stick or move as their policy says, and nobody else notices."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.gateways import (
    CHANGE_SECONDS,
    LOOPBACK,
    Document,
    Edge,
    backend,
    gateway,
    policy,
    resource,
    route,
    service,
    service_route,
)
from tests.peers.process import wait_until
from tests.peers.raknet_peers import RakNetPlayer, RakNetServer
from tests.peers.udp_echo import FLOWS_OF_ALL_WORKERS, EchoServer, Flow, Talker, answered_by, flows, shares
from tests.peers.udp_game import GamePlayer, GameServer

pytestmark = pytest.mark.integration

STICK = policy("udp_game", session={"onBackendChange": "Stick"})
MOVE = policy("udp_game", session={"onBackendChange": "Move"})
ROUNDS = 20
# All of 127.0.0.0/8 is this machine's.
OLD_POD, NEW_POD = "127.0.7.1", "127.0.7.2"


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    with Edge(tmp_path / "documents") as edge:
        yield edge


@pytest.fixture
def red() -> Iterator[EchoServer]:
    with EchoServer("red") as server:
        yield server


@pytest.fixture
def blue() -> Iterator[EchoServer]:
    with EchoServer("blue") as server:
        yield server


class Scene:
    """A mesh with a listener for games, and backends `red` and `blue` at these ports."""

    def __init__(self, edge: Edge, red: int, blue: int, *more: Document) -> None:
        self.edge = edge
        self.port = edge.take_port()
        self._fixed = (gateway(udp_game=self.port), backend("red", red), backend("blue", blue), *more)
        edge.up(*self._fixed, route("udp_game", red=1))

    def weigh(self, **weights: int) -> None:
        """Change the route's backends; without any there is no route."""
        self.edge.write(*self._fixed, *([route("udp_game", **weights)] if weights else []))

    def until_new_flows_reach(self, *names: str) -> None:
        """Wait until the change is in all of Envoy: new flows are answered by all of these and by no others."""
        wait_until(
            lambda: set(shares(self.port, FLOWS_OF_ALL_WORKERS)) == set(names), CHANGE_SECONDS, f"new flows to {names}"
        )


def test_a_flow_keeps_its_backend_while_backends_come_and_go(edge: Edge, red: EchoServer, blue: EchoServer) -> None:
    scene = Scene(edge, red.port, blue.port)
    with flows(scene.port, 4) as playing:
        assert set(answered_by(playing)) == {"red"}
        with Talker(playing) as talker:
            for weights in ({"red": 1, "blue": 1}, {"red": 1}, {"red": 1, "blue": 3}, {"red": 1}):
                scene.weigh(**weights)
                scene.until_new_flows_reach(*weights)
    assert all(set(talk.answers) == {"red"} and not talk.lost for talk in talker.talks)


def test_flows_stick_to_a_backend_that_gets_no_new_ones(edge: Edge, red: EchoServer, blue: EchoServer) -> None:
    scene = Scene(edge, red.port, blue.port, STICK)
    with flows(scene.port, 4) as playing:
        assert set(answered_by(playing)) == {"red"}
        with Talker(playing) as talker:
            scene.weigh(red=0, blue=1)
            scene.until_new_flows_reach("blue")
            settled = talker.answered()
            wait_until(lambda: talker.answered() > settled + ROUNDS, CHANGE_SECONDS, "more answers")
    assert all(set(talk.answers) == {"red"} and not talk.lost for talk in talker.talks)


def test_flows_move_at_once_from_a_backend_that_is_taken_away(edge: Edge, red: EchoServer, blue: EchoServer) -> None:
    scene = Scene(edge, red.port, blue.port, MOVE)
    with flows(scene.port, 4) as playing:
        assert set(answered_by(playing)) == {"red"}
        scene.weigh(red=0, blue=1)
        scene.until_new_flows_reach("blue")
        assert answered_by(playing) == ["blue"] * len(playing)


def test_flows_whose_backend_is_gone_from_the_documents_move_whatever_the_policy(
    edge: Edge, red: EchoServer, blue: EchoServer
) -> None:
    scene = Scene(edge, red.port, blue.port, STICK)
    with Flow(scene.port) as flow:
        assert flow.ask() == "red"
        scene.weigh(blue=1)
        scene.until_new_flows_reach("blue")
        assert flow.ask() == "blue"


def test_flows_stick_to_a_pod_that_terminates_and_new_ones_go_to_the_ready(edge: Edge) -> None:
    port, served = edge.take_port(), edge.take_port()
    with EchoServer("old", address=OLD_POD, port=served), EchoServer("new", address=NEW_POD, port=served):
        fixed = gateway(udp_game=port), service_route("udp_game", "game", served)
        edge.up(*fixed, *service("game", served, ready=[OLD_POD]))
        with Flow(port) as flow:
            assert flow.ask() == "old"
            edge.write(*fixed, *service("game", served, ready=[NEW_POD], terminating=[OLD_POD]))
            wait_until(
                lambda: set(shares(port, FLOWS_OF_ALL_WORKERS)) == {"new"}, CHANGE_SECONDS, "new flows at the new pod"
            )
            assert flow.ask() == "old"
            edge.write(*fixed, *service("game", served, ready=[NEW_POD]))
            wait_until(lambda: flow.ask() == "new", CHANGE_SECONDS, "a move when the old pod is gone")


@pytest.mark.parametrize("times", [{}, {"maxDuration": "1h"}], ids=["plain", "with a maximum time"])
def test_a_flow_is_served_as_soon_as_its_service_has_a_pod(edge: Edge, red: EchoServer, times: dict[str, str]) -> None:
    port = edge.take_port()
    fixed = gateway(udp_game=port), service_route("udp_game", "game", red.port), policy("udp_game", session=times)
    edge.up(*fixed, *service("game", red.port, ready=[]))
    with Flow(port) as flow:
        assert [flow.ask(timeout=0.1) for _ in range(3)] == [None] * 3
        assert edge.stat(f"udp.{resource('udp_game')}.downstream_sess_active") == 0
        edge.write(*fixed, *service("game", red.port, ready=[LOOPBACK]))
        wait_until(lambda: flow.ask(timeout=0.2) == "red", CHANGE_SECONDS, "an answer")
        edge.write(*fixed, *service("game", red.port, ready=[]))
        wait_until(lambda: not shares(port, 1)["red"], CHANGE_SECONDS, "nobody for new flows")
    assert "envoy bug" not in edge.process.output


def test_a_flow_goes_on_when_its_route_was_gone_and_comes_back(edge: Edge, red: EchoServer, blue: EchoServer) -> None:
    scene = Scene(edge, red.port, blue.port)
    with Flow(scene.port) as flow:
        assert flow.ask() == "red"
        scene.weigh()
        wait_until(lambda: not edge.listening([resource("udp_game")]), CHANGE_SECONDS, "the end of the listener")
        assert flow.ask(timeout=0.2) is None
        scene.weigh(red=1)
        wait_until(lambda: flow.ask(timeout=0.2) == "red", CHANGE_SECONDS, "answers again")


def test_a_raknet_game_goes_on_at_a_server_that_takes_no_new_players(edge: Edge) -> None:
    with RakNetServer("red") as red, RakNetServer("blue") as blue:
        scene = Scene(edge, red.port, blue.port, STICK)
        with RakNetPlayer(scene.port) as veteran:
            veteran.connect()
            scene.weigh(red=0, blue=1)
            newcomers_reach(scene, "blue")
            # RakNet's player does not connect again by itself: these are answers within its first connection.
            assert {veteran.say() for _ in range(ROUNDS)} == {"red"}


def test_a_raknet_player_whose_server_was_taken_away_plays_on_at_another(edge: Edge) -> None:
    with RakNetServer("red") as red, RakNetServer("blue") as blue:
        scene = Scene(edge, red.port, blue.port, MOVE)
        with RakNetPlayer(scene.port) as player:
            player.connect()
            assert player.say() == "red"
            scene.weigh(red=0, blue=1)
            with pytest.raises(ConnectionResetError):  # as RakNet knows it: nobody answers any more
                play_until_lost(player)
            player.connect()  # from the same port
            assert {player.say() for _ in range(ROUNDS)} == {"blue"}
        assert (red.joined, blue.joined) == (1, 1)


def test_a_game_whose_servers_share_its_cookies_survives_a_move_without_a_new_handshake(edge: Edge) -> None:
    key = secrets.token_bytes(32)
    with GameServer("red", key) as red, GameServer("blue", key) as blue:
        scene = Scene(edge, red.port, blue.port, MOVE)
        with GamePlayer(scene.port) as player:
            assert player.join() == "red"
            assert {player.play() for _ in range(ROUNDS)} == {"red"}
            scene.weigh(red=0, blue=1)
            wait_until(lambda: player.play() == "blue", CHANGE_SECONDS, "play at the other server")
            assert {player.play() for _ in range(ROUNDS)} == {"blue"}
        assert (red.core.handshakes, blue.core.handshakes, blue.core.adopted) == (1, 0, 1)


def newcomers_reach(scene: Scene, name: str) -> None:
    """Wait until RakNet players who connect now reach the server of this name."""

    def reached() -> bool:
        with RakNetPlayer(scene.port) as newcomer:
            newcomer.connect()
            return newcomer.say() == name

    wait_until(reached, CHANGE_SECONDS, f"newcomers at {name}")


def play_until_lost(player: RakNetPlayer) -> None:
    while player.say() == "red":
        pass
