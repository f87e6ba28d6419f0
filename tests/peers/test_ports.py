"""Ports that are ours and neighbours of each other."""

from __future__ import annotations

import socket

from tests.peers.ports import FIRST_PORT, LAST_PORT, reserve_ports


def test_ranges_are_even_aligned_large_enough_and_disjoint() -> None:
    with reserve_ports(10) as one, reserve_ports(130) as other:
        for ports, count in ((one, 10), (other, 130)):
            assert ports.first % 2 == 0
            assert ports.last - ports.first + 1 == count
            assert FIRST_PORT <= ports.first < ports.last < LAST_PORT
        assert one.last < other.first or other.last < one.first


def test_a_range_with_a_port_in_use_is_passed_over() -> None:
    with reserve_ports(2) as ports:
        first = ports.first
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", first))
        with reserve_ports(2) as ports:
            assert ports.first != first


def test_single_ports_are_taken_once() -> None:
    with reserve_ports(3) as ports:
        assert [ports.take(), ports.take()] == [ports.first, ports.first + 1]
