"""What is told of halves of tunnels: what is, once; what came and went meanwhile, not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.wire import relay_pb2
from rtsp_filter.relays import TunnelOffer
from rtsp_filter.relays.tunnel_book import TunnelBook


def book() -> TunnelBook:
    return TunnelBook(lambda: None)


def wire(tunnel: bytes, ticket: str, certificate: bytes = b"") -> relay_pb2.TunnelOffer:
    return relay_pb2.TunnelOffer(tunnel=tunnel, ticket=ticket, certificate=certificate)


def test_what_is_new_is_told_once() -> None:
    made = book()
    made.offer(b"1", TunnelOffer(ticket="t", certificate=b"sum"))
    made.seek(b"2")
    assert made.changes() == [relay_pb2.TunnelReport(offered=[wire(b"1", "t", b"sum")], sought=[b"2"])]
    assert made.changes() == []
    made.withdraw(b"1")
    made.give_up(b"2")
    assert made.changes() == [relay_pb2.TunnelReport(withdrawn=[b"1"], given_up=[b"2"])]


def test_what_came_and_went_between_two_reports_is_in_none() -> None:
    made = book()
    made.offer(b"1", TunnelOffer(ticket="t"))
    made.seek(b"1")
    made.withdraw(b"1")
    made.give_up(b"1")
    assert made.changes() == []


def test_another_get_of_the_same_name_has_another_ticket() -> None:
    made = book()
    made.offer(b"1", TunnelOffer(ticket="old"))
    made.changes()
    made.withdraw(b"1")
    made.offer(b"1", TunnelOffer(ticket="new"))
    assert made.changes() == [relay_pb2.TunnelReport(withdrawn=[b"1"], offered=[wire(b"1", "new")])]


def test_a_post_that_follows_another_one_at_once_is_told_of_too() -> None:
    """The one before was answered."""
    made = book()
    made.seek(b"1")
    made.changes()
    made.give_up(b"1")
    made.seek(b"1")
    assert made.changes() == [relay_pb2.TunnelReport(given_up=[b"1"], sought=[b"1"])]


def test_who_knows_nothing_is_told_all_that_is() -> None:
    made = book()
    made.offer(b"1", TunnelOffer(ticket="t"))
    made.seek(b"2")
    made.seek(b"3")
    made.changes()
    made.give_up(b"3")
    assert made.all() == [relay_pb2.TunnelReport(offered=[wire(b"1", "t")], sought=[b"2"])]
    assert made.changes() == []
    assert made.all() == [relay_pb2.TunnelReport(offered=[wire(b"1", "t")], sought=[b"2"])]


def test_a_message_has_so_many_tunnels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtsp_filter.relays.tunnel_book.MAX_REPORTED", 2)
    made = book()
    for number in range(5):
        made.seek(bytes([number]))
    assert [len(report.sought) for report in made.changes()] == [2, 2, 1]


def test_that_there_is_something_to_tell_is_said_once() -> None:
    said: list[None] = []
    made = TunnelBook(lambda: said.append(None))
    made.seek(b"1")
    made.seek(b"2")
    assert len(said) == 1
    made.changes()
    made.give_up(b"1")
    assert len(said) == 2


@given(
    st.lists(
        st.tuples(st.sampled_from(["offer", "withdraw", "seek", "give up", "tell", "restart"]), st.integers(0, 2)),
        max_size=40,
    )
)
def test_who_follows_the_reports_knows_what_is(steps: list[tuple[str, int]]) -> None:
    made, offers, sought = book(), dict[bytes, str](), set[bytes]()
    known_offers, known_sought = dict[bytes, str](), set[bytes]()

    def hear(reports: list[relay_pb2.TunnelReport]) -> None:
        for report in reports:
            for tunnel in report.withdrawn:
                del known_offers[tunnel]
            for tunnel in report.given_up:
                known_sought.remove(tunnel)
            known_offers.update((each.tunnel, each.ticket) for each in report.offered)
            known_sought.update(report.sought)

    for number, (step, which) in enumerate(steps):
        tunnel = bytes([which])
        if step == "offer" and tunnel not in offers:
            offers[tunnel] = str(number)
            made.offer(tunnel, TunnelOffer(ticket=str(number)))
        elif step == "withdraw" and tunnel in offers:
            del offers[tunnel]
            made.withdraw(tunnel)
        elif step == "seek":
            sought.add(tunnel)
            made.seek(tunnel)
        elif step == "give up":
            sought.discard(tunnel)
            made.give_up(tunnel)
        elif step == "tell":
            hear(made.changes())
        elif step == "restart":
            known_offers.clear()
            known_sought.clear()
            hear(made.all())
    hear(made.changes())
    assert (known_offers, known_sought) == (offers, sought)
