"""What proxies may have without having acknowledged it, from one stream to the next.

A proxy that refuses a response has applied its good part, but does not state it when it reconnects. Should such a
resource vanish meanwhile, nobody would ever tell the proxy; so the names are remembered here, and told as removed.
"""

from __future__ import annotations

from collections.abc import Mapping

from xds_server.subscription.proxy import Node

MAX_NODES = 10_000
"""Nodes remembered; the one that was heard of longest ago goes first. Few have any doubts at all."""
MAX_NAMES_REMEMBERED = 1_000
"""Names remembered of one type of one node: doubts are settled within a few exchanges, so they are few."""


class Doubts:
    """Names in doubt by node, type."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}

    def of(self, node: Node) -> Mapping[str, tuple[str, ...]]:
        """The names in doubt of a node, by type URL."""
        return self._of.get((node.cluster, node.id), {})

    def remember(self, node: Node, doubts: Mapping[str, tuple[str, ...]]) -> None:
        """A stream of a node ended with these doubts, of the types that it had asked for."""
        key = (node.cluster, node.id)
        known = {**self._of.pop(key, {}), **doubts}
        left = {type_url: names[:MAX_NAMES_REMEMBERED] for type_url, names in known.items() if names}
        if left:
            self._of[key] = left
        if len(self._of) > MAX_NODES:
            del self._of[next(iter(self._of))]
