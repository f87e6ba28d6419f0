"""Consistent hashing: keys stay, few move, weights hold roughly."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsp_filter.balancing.consistent import Maglev, Ring, Weighted
from rtsp_filter.balancing.hashing import HashPolicy, HashSource, hash_of, hash_text
from rtsp_filter.routes.request import RouteRequest
from rtsp_filter.rtsp import Headers

_KEYS = [hash_text(f"/camera-{number}") for number in range(2000)]
# A prime, a hundred times the hosts below: the paper's advice.
_SIZE = 2039

Make = Callable[[Weighted], Ring | Maglev]


def _ring(hosts: Weighted) -> Ring:
    return Ring(hosts, minimum_size=1024, maximum_size=65_536)


def _maglev(hosts: Weighted) -> Maglev:
    return Maglev(hosts, size=_SIZE)


def _hosts(count: int) -> list[tuple[str, float]]:
    return [(f"192.0.2.{number}:554", 1.0) for number in range(count)]


def _owners(table: Ring | Maglev, hosts: Weighted) -> list[str]:
    return [hosts[table.find(key)][0] for key in _KEYS]


@pytest.mark.parametrize("make", [_ring, _maglev])
@settings(max_examples=30, deadline=None)
@given(count=st.integers(2, 12), data=st.data())
def test_when_one_of_n_goes_its_keys_move_and_few_others(make: Make, count: int, data: st.DataObject) -> None:
    hosts = _hosts(count)
    gone = data.draw(st.integers(0, count - 1))
    left = [host for index, host in enumerate(hosts) if index != gone]
    before, after = _owners(make(hosts), hosts), _owners(make(left), left)
    moved = [old for old, new in zip(before, after, strict=True) if old != new]
    others = [old for old in moved if old != hosts[gone][0]]
    assert len(moved) - len(others) == Counter(before)[hosts[gone][0]]
    assert Counter(before)[hosts[gone][0]] <= 1.5 * len(_KEYS) / count
    # Maglev trades some for even shares; on a ring as small as allowed, those who stay get new points.
    assert len(others) <= 0.15 * len(_KEYS)


@pytest.mark.parametrize("make", [_ring, _maglev])
def test_the_order_of_hosts_means_nothing(make: Make) -> None:
    hosts = _hosts(7)
    backwards = hosts[::-1]
    assert _owners(make(hosts), hosts) == _owners(make(backwards), backwards)


@pytest.mark.parametrize("make", [_ring, _maglev])
def test_weights_hold_roughly(make: Make) -> None:
    hosts = [("192.0.2.1:554", 3.0), ("192.0.2.2:554", 1.0)]
    counts = Counter(_owners(make(hosts), hosts))
    assert 2 < counts["192.0.2.1:554"] / counts["192.0.2.2:554"] < 4


def test_maglev_gives_places_by_weight_exactly() -> None:
    table = _maglev([("a", 2.0), ("b", 1.0), ("c", 1.0)])
    counts = Counter(table.find(place) for place in range(_SIZE))
    assert abs(counts[0] - _SIZE / 2) <= 2
    assert abs(counts[1] - _SIZE / 4) <= 2


def test_a_ring_has_at_least_the_points_asked_for_and_at_most_so_many() -> None:
    assert len(_ring(_hosts(3))) >= 1024
    assert len(Ring([("a", 1.0), ("b", 100_000.0)], minimum_size=1024, maximum_size=2000)) <= 2001


_PATH = HashPolicy(source=HashSource.HEADER, name=":path")
_CLIENT = HashPolicy(source=HashSource.CLIENT_ADDRESS)
_ASKED = RouteRequest(
    host="h", path="/a?channel=1&channel=2", headers=Headers([("User-Agent", "x")]), client_address="192.0.2.9"
)


def test_a_request_is_hashed_by_path_header_query_parameter_or_client() -> None:
    assert hash_of([_PATH], _ASKED) == hash_text("/a?channel=1&channel=2")
    assert hash_of([HashPolicy(source=HashSource.HEADER, name="User-Agent")], _ASKED) == hash_text("x")
    assert hash_of([HashPolicy(source=HashSource.QUERY_PARAMETER, name="channel")], _ASKED) == hash_text("1")
    assert hash_of([_CLIENT], _ASKED) == hash_text("192.0.2.9")


def test_hashes_are_those_of_xxhash_with_64_bits() -> None:
    """The reference value of xxHash for the empty text and seed 0."""
    assert hash_text("") == 0xEF46DB3751D8E999


def test_what_is_not_there_gives_no_hash() -> None:
    absent = HashPolicy(source=HashSource.HEADER, name="x-user")
    assert hash_of([absent], _ASKED) is None
    assert hash_of([absent, _CLIENT], _ASKED) == hash_of([_CLIENT], _ASKED)


def test_parts_of_a_hash_count_together_and_in_order_until_a_terminal_one() -> None:
    assert hash_of([_CLIENT, _CLIENT], _ASKED) != 0
    assert hash_of([_PATH, _CLIENT], _ASKED) != hash_of([_CLIENT, _PATH], _ASKED)
    terminal = HashPolicy(source=HashSource.CLIENT_ADDRESS, terminal=True)
    assert hash_of([terminal, _PATH], _ASKED) == hash_of([_CLIENT], _ASKED)
