"""One port of one protocol on one address has one owner."""

import pytest

from mesh.gateways import TransportProtocol
from mesh.ports import PortBook

UDP, TCP = TransportProtocol.UDP, TransportProtocol.TCP


@pytest.mark.parametrize(
    ("first", "second", "meet"),
    [
        (["192.0.2.1"], ["192.0.2.1"], True),
        (["192.0.2.1"], ["192.0.2.2"], False),
        (["0.0.0.0"], ["192.0.2.1"], True),
        (["192.0.2.1"], ["0.0.0.0"], True),
        (["0.0.0.0"], ["0.0.0.0"], True),
        (["0.0.0.0"], ["::"], False),
        (["0.0.0.0"], ["2001:db8::1"], False),
        (["::"], ["192.0.2.1", "2001:db8::1"], True),
        (["192.0.2.1", "2001:db8::1"], ["::"], True),
    ],
)
def test_a_port_is_taken_where_addresses_meet(first: list[str], second: list[str], meet: bool) -> None:
    book = PortBook()
    assert book.take(UDP, 7777, first, "first") is None
    assert book.take(UDP, 7777, second, "second") == ("first" if meet else None)


def test_protocols_and_ports_are_apart() -> None:
    book = PortBook()
    assert book.take(UDP, 7777, ["0.0.0.0"], "first") is None
    assert book.take(TCP, 7777, ["0.0.0.0"], "second") is None
    assert book.take(UDP, 7778, ["0.0.0.0"], "third") is None


def test_who_is_refused_has_nothing() -> None:
    book = PortBook()
    book.take(UDP, 7777, ["192.0.2.1"], "first")
    assert book.take(UDP, 7777, ["192.0.2.2", "192.0.2.1"], "second") == "first"
    assert book.take(UDP, 7777, ["192.0.2.2"], "third") is None
