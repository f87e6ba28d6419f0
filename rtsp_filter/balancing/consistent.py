"""Consistent hashing: a key stays with its host as long as that host is there; others' going moves few keys.

Both are Envoy's ways (ring hash in the manner of ketama; Maglev, section 3.4 of the paper), hash for hash, so an Envoy
with the same endpoints sends a key to the same one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import ceil

from rtsp_filter.balancing.hashing import hash_text

Weighted = Sequence[tuple[str, float]]
"""Hosts' hash keys and weights; at least one weight is not 0."""


class Ring:
    """Each host has points on a ring, by weight; a key belongs to the next point. Picking costs O(log points)."""

    def __init__(self, hosts: Weighted, *, minimum_size: int, maximum_size: int) -> None:
        shares = _shares(hosts)
        least = min(share for _, share in shares if share)
        scale = min(ceil(least * minimum_size) / least, maximum_size)
        points: list[tuple[int, int]] = []
        target = made = 0.0
        for index, (key, share) in enumerate(shares):
            target += scale * share
            copy = 0
            while made < target:
                points.append((hash_text(f"{key}_{copy}"), index))
                copy += 1
                made += 1
        points.sort()
        self._hashes = [point for point, _ in points]
        self._owners = [owner for _, owner in points]

    def __len__(self) -> int:
        return len(self._owners)

    def find(self, key_hash: int) -> int:
        """The index of the host that a hash belongs to."""
        return self._owners[bisect_left(self._hashes, key_hash) % len(self._owners)]


class Maglev:
    """A table in which hosts take places in turn, each in an order of its own. Picking costs O(1).

    Making one costs some ten steps for each place: with Envoy's 65,537 places a tenth of a second.
    """

    def __init__(self, hosts: Weighted, *, size: int) -> None:
        """`size` is a prime number."""
        self._table = _filled(sorted((key, share, index) for index, (key, share) in enumerate(_shares(hosts))), size)

    def find(self, key_hash: int) -> int:
        """The index of the host that a hash belongs to."""
        return self._table[key_hash % len(self._table)]


def _filled(entries: Sequence[tuple[str, float, int]], size: int) -> list[int]:
    """A host as heavy as the heaviest takes a place in each round, one half as heavy in every second."""
    heaviest = max(share for _, share, _ in entries)
    table = [-1] * size
    places = [hash_text(key) % size for key, _, _ in entries]
    steps = [hash_text(key, 1) % (size - 1) + 1 for key, _, _ in entries]
    due = [0.0] * len(entries)
    left, turn = size, 1
    while left:
        for number, (_, share, index) in enumerate(entries):
            if turn * share < due[number] or not left:
                continue
            due[number] += heaviest
            place, step = places[number], steps[number]
            while table[place] >= 0:
                place += step
                if place >= size:
                    place -= size
            table[place] = index
            place += step
            places[number] = place - size if place >= size else place
            left -= 1
        turn += 1
    return table


def _shares(hosts: Weighted) -> list[tuple[str, float]]:
    total = sum(weight for _, weight in hosts)
    return [(key, weight / total) for key, weight in hosts]
