"""Which stream gets which group."""

from __future__ import annotations

from ipaddress import IPv4Network

from rtsp_filter.proxy.limits import GROUP_REST
from rtsp_filter.proxy.multicast.group_pool import FIRST_PORT, LAST_PORT, GroupPool


def test_groups_are_given_to_one_each_until_there_are_no_more() -> None:
    pool = GroupPool(IPv4Network("239.1.2.4/30"))
    assert [pool.take(0.0) for _ in range(5)] == ["239.1.2.4", "239.1.2.5", "239.1.2.6", "239.1.2.7", None]


def test_a_group_rests_before_it_is_given_again_and_the_one_that_has_rested_longest_comes_first() -> None:
    pool = GroupPool(IPv4Network("239.1.2.4/31"))
    first, second = pool.take(0.0), pool.take(0.0)
    assert first is not None and second is not None
    pool.give_back(second, 1.0, used=True)
    pool.give_back(first, 2.0, used=True)
    assert pool.take(GROUP_REST + 0.9) is None
    assert pool.take(GROUP_REST + 5.0) == second
    assert pool.take(GROUP_REST + 5.0) == first


def test_a_group_that_nothing_was_sent_to_needs_no_rest() -> None:
    pool = GroupPool(IPv4Network("239.1.2.4/31"))
    first, second = pool.take(0.0), pool.take(0.0)
    assert first is not None and second is not None
    pool.give_back(first, 1.0, used=True)
    pool.give_back(second, 1.0, used=False)
    assert pool.take(1.0) == second
    assert pool.take(1.0) is None


def test_groups_that_were_never_used_come_before_those_that_were() -> None:
    pool = GroupPool(IPv4Network("239.1.2.4/31"))
    used = pool.take(0.0)
    assert used is not None
    pool.give_back(used, 0.0, used=True)
    assert pool.take(2 * GROUP_REST) == "239.1.2.5"


def test_tracks_get_pairs_of_ports_and_come_round_after_all_of_them() -> None:
    pool = GroupPool(IPv4Network("239.0.0.0/8"))
    count = (LAST_PORT + 1 - FIRST_PORT) // 2
    pairs = [pool.ports() for _ in range(count + 1)]
    assert len(set(pairs)) == count
    assert pairs[0] == pairs[-1] == (FIRST_PORT, FIRST_PORT + 1)
    assert all(pair.rtp % 2 == 0 and pair.rtcp == pair.rtp + 1 <= LAST_PORT for pair in pairs)


def test_it_knows_its_groups() -> None:
    pool = GroupPool(IPv4Network("239.1.2.0/24"))
    assert pool.has("239.1.2.255")
    assert not pool.has("239.1.3.0")
