"""What proxies may have without having acknowledged it, from one stream to the next.

A proxy that refuses a response, or loses its stream before it has answered one, has applied the good part of it, but
does not state that when it reconnects. Should such a resource vanish meanwhile, nobody would ever tell the proxy; so
the names are remembered here, and told as removed.
"""

from __future__ import annotations

from collections.abc import Mapping

from xds_server.subscription.exchange import DoubtedVersions

MAX_NAMES_REMEMBERED = 200_000
"""Names of all nodes together, some 200 bytes each; of too many the node goes first that was heard of longest ago. Few
proxies have any doubts at all."""


MAX_NAMES_OF_NODE = 20_000
"""Names of one node, of which those of the type that has the most go first."""


class Doubts:
    """Versions in doubt by node, type and name."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], dict[str, dict[str, DoubtedVersions]]] = {}
        self._names = 0

    def of(self, key: tuple[str, str]) -> Mapping[str, Mapping[str, DoubtedVersions]]:
        """What is in doubt of a node (its cluster and id), by type URL and name."""
        return self._of.get(key, {})

    def remember(self, key: tuple[str, str], doubts: Mapping[str, dict[str, DoubtedVersions]]) -> None:
        """A stream of a node ended with these doubts, of the types that it had asked for."""
        left = {type_url: names for type_url, names in {**self._take(key), **doubts}.items() if names}
        while _count(left) > MAX_NAMES_OF_NODE:
            del left[max(left, key=lambda type_url: len(left[type_url]))]
        if left:
            self._of[key] = left
            self._names += _count(left)
        while self._names > MAX_NAMES_REMEMBERED:
            self._take(next(iter(self._of)))

    def _take(self, key: tuple[str, str]) -> dict[str, dict[str, DoubtedVersions]]:
        taken = self._of.pop(key, {})
        self._names -= _count(taken)
        return taken


def merged(*all_doubts: Mapping[str, Mapping[str, DoubtedVersions]]) -> dict[str, dict[str, DoubtedVersions]]:
    """The doubts of several streams as one."""
    together: dict[str, dict[str, DoubtedVersions]] = {}
    for doubts in all_doubts:
        for type_url, names in doubts.items():
            of_type = together.setdefault(type_url, {})
            for name, versions in names.items():
                of_type[name] = (*of_type.get(name, ()), *versions)
    return together


def _count(doubts: Mapping[str, Mapping[str, DoubtedVersions]]) -> int:
    return sum(map(len, doubts.values()))
