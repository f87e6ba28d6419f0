"""The game's rules, without a network: cookies are good at every server of a fleet, and time makes players leave."""

from dataclasses import replace

from tests.peers.udp_game import TIMEOUT_SECONDS, GameCore, Kind, Packet

KEY = b"k" * 32
REQUEST = Packet(kind=Kind.REQUEST, player=7)


def cookie_of(core: GameCore) -> bytes:
    challenge = core.answer(REQUEST, 0.0)
    assert challenge is not None
    return challenge.cookie


def test_packets_survive_the_wire() -> None:
    packet = Packet(kind=Kind.STATE, player=2**63, cookie=b"c" * 16, number=9, text="red")
    assert Packet.parse(packet.encode()) == packet


def test_a_request_alone_makes_nobody_a_player() -> None:
    core = GameCore("red", KEY)
    cookie_of(core)
    assert core.players(0.0) == 0


def test_a_handshake_makes_a_player_until_the_timeout() -> None:
    core = GameCore("red", KEY)
    response = replace(REQUEST, kind=Kind.RESPONSE, cookie=cookie_of(core))
    accepted = core.answer(response, 1.0)
    assert accepted is not None
    assert (accepted.kind, accepted.text) == (Kind.ACCEPTED, "red")
    assert (core.handshakes, core.players(1.0), core.players(1.0 + TIMEOUT_SECONDS)) == (1, 1, 0)


def test_a_server_takes_over_players_of_its_fleet_and_no_others() -> None:
    red, blue, foreign = GameCore("red", KEY), GameCore("blue", KEY), GameCore("foreign", b"x" * 32)
    played = replace(REQUEST, kind=Kind.INPUT, cookie=cookie_of(red), number=3)
    state = blue.answer(played, 1.0)
    assert state is not None
    assert (state.kind, state.number, state.text) == (Kind.STATE, 3, "blue")
    assert (blue.adopted, blue.handshakes) == (1, 0)
    assert foreign.answer(played, 1.0) is None
