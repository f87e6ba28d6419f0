"""Halves of tunnels at different proxies: who seeks is told of who offers, whatever comes first, and of nobody else."""

from __future__ import annotations

import pytest

from mesh.wire import relay_pb2
from xds_server.relays.tunnels import Place, Places, TunnelRegistry, places_of

ANYWHERE = "ipv4:192.0.2.9:40000"


def place(name: str, *, secure: bool = False) -> Place:
    """Where a proxy is reached."""
    return Place(address=f"192.0.2.{ord(name) - ord('a') + 1}", port=322 if secure else 554)


def registry(*names: str) -> TunnelRegistry:
    """One that these proxies are connected to."""
    made = TunnelRegistry()
    for name in names:
        made.proxy_connected(name, Places(plain=place(name), secure=place(name, secure=True)))
    return made


def offer(tunnel: bytes, ticket: str, certificate: bytes = b"") -> relay_pb2.TunnelOffer:
    return relay_pb2.TunnelOffer(tunnel=tunnel, ticket=ticket, certificate=certificate)


def told(made: TunnelRegistry) -> list[tuple[str, Place, str]]:
    """To whom, where to go, and with which ticket."""
    return [(owner, found.place, found.ticket) for owner, found in made.take_messages()]


def test_who_seeks_is_told_of_who_offers_whichever_comes_first() -> None:
    made = registry("a", "b")
    made.report("a", relay_pb2.TunnelReport(offered=[offer(b"1", "t1")]))
    made.report("b", relay_pb2.TunnelReport(sought=[b"1", b"2"]))
    assert told(made) == [("b", place("a"), "t1")]
    made.report("a", relay_pb2.TunnelReport(offered=[offer(b"2", "t2")]))
    assert told(made) == [("b", place("a"), "t2")]


def test_a_tunnel_that_came_by_tls_is_led_to_where_tls_is_spoken() -> None:
    made = registry("a", "b")
    made.report("b", relay_pb2.TunnelReport(sought=[b"1"]))
    made.report("a", relay_pb2.TunnelReport(offered=[offer(b"1", "t", b"sum")]))
    assert told(made) == [("b", place("a", secure=True), "t")]


def test_a_proxy_is_not_led_to_itself() -> None:
    made = registry("a", "b")
    made.report("a", relay_pb2.TunnelReport(offered=[offer(b"1", "t")], sought=[b"1"]))
    assert told(made) == []
    made.report("b", relay_pb2.TunnelReport(offered=[offer(b"1", "u")]))
    assert told(made) == [("a", place("b"), "u")]


def test_the_latest_of_two_offers_counts() -> None:
    made = registry("a", "b", "c")
    made.report("b", relay_pb2.TunnelReport(offered=[offer(b"1", "older")]))
    made.report("a", relay_pb2.TunnelReport(offered=[offer(b"1", "newer")]))
    made.report("c", relay_pb2.TunnelReport(sought=[b"1"]))
    assert told(made) == [("c", place("a"), "newer")]


def test_what_was_withdrawn_or_given_up_is_not_found() -> None:
    made = registry("a", "b")
    made.report("a", relay_pb2.TunnelReport(offered=[offer(b"1", "t")]))
    made.report("a", relay_pb2.TunnelReport(withdrawn=[b"1"]))
    made.report("b", relay_pb2.TunnelReport(sought=[b"1"]))
    made.report("b", relay_pb2.TunnelReport(given_up=[b"1"]))
    made.report("a", relay_pb2.TunnelReport(offered=[offer(b"1", "t")]))
    assert told(made) == []


def test_a_get_that_ends_and_comes_again_in_one_report_is_offered() -> None:
    made = registry("a", "b")
    made.report("a", relay_pb2.TunnelReport(offered=[offer(b"1", "old")]))
    made.report("a", relay_pb2.TunnelReport(withdrawn=[b"1"], offered=[offer(b"1", "new")]))
    made.report("b", relay_pb2.TunnelReport(sought=[b"1"]))
    assert told(made) == [("b", place("a"), "new")]


def test_who_was_led_there_may_ask_again_for_the_next_post() -> None:
    made = registry("a", "b")
    made.report("a", relay_pb2.TunnelReport(offered=[offer(b"1", "t")]))
    for _ in range(2):
        made.report("b", relay_pb2.TunnelReport(sought=[b"1"]))
        assert told(made) == [("b", place("a"), "t")]
        made.report("b", relay_pb2.TunnelReport(given_up=[b"1"]))


def test_nothing_is_known_of_a_proxy_that_has_gone_or_begins_anew() -> None:
    made = registry("a", "b")
    made.report("a", relay_pb2.TunnelReport(offered=[offer(b"1", "t")]))
    made.proxy_connected("a", Places(plain=place("a"), secure=None))
    made.report("b", relay_pb2.TunnelReport(sought=[b"1", b"2"]))
    made.proxy_lost("b")
    made.report("a", relay_pb2.TunnelReport(offered=[offer(b"2", "t")]))
    assert told(made) == []


def test_a_proxy_that_cannot_be_reached_is_not_told_of() -> None:
    made = registry("b")
    made.proxy_connected("a", Places(plain=None, secure=None))
    made.report("a", relay_pb2.TunnelReport(offered=[offer(b"1", "t")]))
    made.report("b", relay_pb2.TunnelReport(sought=[b"1"]))
    assert told(made) == []


def test_one_proxy_and_all_together_have_so_many_halves_and_those_that_go_make_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("xds_server.relays.tunnels.MAX_HALVES_OF_PROXY", 2)
    monkeypatch.setattr("xds_server.relays.tunnels.MAX_HALVES", 3)
    made = registry("a", "b", "c")
    assert made.report("a", relay_pb2.TunnelReport(offered=[offer(b"1", "t")], sought=[b"2"]))
    assert not made.report("a", relay_pb2.TunnelReport(sought=[b"3"]))
    assert made.report("b", relay_pb2.TunnelReport(sought=[b"4"]))
    assert not made.report("b", relay_pb2.TunnelReport(offered=[offer(b"5", "t")]))
    assert made.report("c", relay_pb2.TunnelReport(sought=[b"1"]))  # nothing is kept of what is found at once
    made.proxy_lost("a")
    assert made.report("b", relay_pb2.TunnelReport(offered=[offer(b"5", "t")]))


@pytest.mark.parametrize(
    ("listens", "peer", "where"),
    [
        ("192.0.2.1", ANYWHERE, "192.0.2.1"),
        ("127.0.0.1", ANYWHERE, "127.0.0.1"),
        ("2001:db8::1", ANYWHERE, "2001:db8::1"),
        ("0.0.0.0", ANYWHERE, "192.0.2.9"),
        ("::", ANYWHERE, "192.0.2.9"),
        ("::", "ipv6:%5B2001:db8::9%5D:40000", "2001:db8::9"),
        ("::", "ipv6:[2001:db8::9]:40000", "2001:db8::9"),
        ("0.0.0.0", "ipv6:[::ffff:192.0.2.9]:40000", "192.0.2.9"),
    ],
)
def test_a_proxy_is_where_it_listens_and_with_a_wildcard_where_it_comes_from(
    listens: str, peer: str, where: str
) -> None:
    address = relay_pb2.ListenAddress(address=listens, port=8554)
    places = places_of(relay_pb2.State(rtsp=address), peer)
    assert places == Places(plain=Place(address=where, port=8554), secure=None)
    assert places_of(relay_pb2.State(rtsps=address), peer).secure == Place(address=where, port=8554)


@pytest.mark.parametrize(
    ("listens", "port", "peer"),
    [("0.0.0.0", 554, "unix:/run/msm"), ("somewhere", 554, ANYWHERE), ("192.0.2.1", 0, ANYWHERE), ("", 554, ANYWHERE)],
)
def test_a_proxy_that_says_nothing_usable_is_nowhere(listens: str, port: int, peer: str) -> None:
    address = relay_pb2.ListenAddress(address=listens, port=port)
    assert places_of(relay_pb2.State(rtsp=address), peer).plain is None
    assert places_of(relay_pb2.State(), peer) == Places(plain=None, secure=None)
