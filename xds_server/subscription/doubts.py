"""What proxies may have without having acknowledged it, from one stream to the next.

A proxy that refuses a response, or loses its stream before it has answered one, has applied the good part of it, but
does not state that when it reconnects. Should such a resource vanish meanwhile, nobody would ever tell the proxy; so
the names are remembered here, and told as removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from xds_server.subscription.exchange import DoubtedVersions

MAX_NAMES_REMEMBERED = 200_000
"""Names of all nodes together, some 200 bytes each; of too many the node goes first that was heard of longest ago. Few
proxies have any doubts at all."""
MAX_NAMES_OF_NODE = 20_000
"""Names of one node, of which those of the type that has the most go first."""

DoubtsByType = Mapping[str, Mapping[str, DoubtedVersions]]
"""Versions in doubt by type URL and name, of one node."""


class Doubtful(Protocol):
    """A stream, while it is there and when it ends.

    broken: its client broke a rule, so what it asked for last counts for nothing.
    """

    broken: bool

    def doubts(self) -> DoubtsByType:
        """What the node may have without having acknowledged it, of the types that it asked for here or waits for."""


@dataclass(slots=True, eq=False)
class _Live:
    """A stream that is there. `outlived`: a younger one of its node has ended already."""

    stream: Doubtful
    outlived: bool = False


class Doubts:
    """Of nodes, named by cluster and id: what is in doubt of their streams that ended and of those that are there.

    A node comes back before its old stream is known to be dead, so a stream begins with the doubts of older ones too;
    and when these end, what they knew of a type counts only if no younger stream has begun with it.
    """

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], DoubtsByType] = {}
        self._live: dict[tuple[str, str], list[_Live]] = {}
        self._names = 0

    def of(self, key: tuple[str, str]) -> DoubtsByType:
        """What is in doubt of a node whose next stream begins."""
        return _merged(self._of.get(key, {}), *(live.stream.doubts() for live in self._live.get(key, ())))

    def began(self, key: tuple[str, str], stream: Doubtful) -> None:
        """A stream of a node is there; `ended` must follow."""
        self._live.setdefault(key, []).append(_Live(stream))

    def ended(self, key: tuple[str, str], stream: Doubtful) -> None:
        """A stream of a node is gone. Costs the streams that the node has."""
        streams = self._live[key]
        place = next(place for place, live in enumerate(streams) if live.stream is stream)
        older, own, younger = streams[:place], streams[place], streams[place + 1 :]
        for live in older:
            live.outlived = True
        self._live[key] = older + younger
        if not self._live[key]:
            del self._live[key]
        if not stream.broken:
            told_of = {type_url for live in younger for type_url in live.stream.doubts()}
            left = {type_url: names for type_url, names in stream.doubts().items() if type_url not in told_of}
            self._remember(key, _merged(self._of.get(key, {}), left) if own.outlived else left)

    def _remember(self, key: tuple[str, str], doubts: DoubtsByType) -> None:
        """Instead of what was known of these types."""
        left = {type_url: names for type_url, names in {**self._take(key), **doubts}.items() if names}
        while _count(left) > MAX_NAMES_OF_NODE:
            del left[max(left, key=lambda type_url: len(left[type_url]))]
        if left:
            self._of[key] = left
            self._names += _count(left)
        while self._names > MAX_NAMES_REMEMBERED:
            self._take(next(iter(self._of)))

    def _take(self, key: tuple[str, str]) -> DoubtsByType:
        taken = self._of.pop(key, {})
        self._names -= _count(taken)
        return taken


def _merged(*all_doubts: DoubtsByType) -> DoubtsByType:
    """The doubts of several streams as one."""
    together: dict[str, dict[str, DoubtedVersions]] = {}
    for doubts in all_doubts:
        for type_url, names in doubts.items():
            of_type = together.setdefault(type_url, {})
            for name, versions in names.items():
                of_type[name] = tuple(dict.fromkeys((*of_type.get(name, ()), *versions)))
    return together


def _count(doubts: DoubtsByType) -> int:
    return sum(map(len, doubts.values()))
