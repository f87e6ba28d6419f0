"""The parts of a route table: which route is for a request, and what an endpoint is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import merge
from urllib.parse import unquote

from rtsp_filter.balancing import HashPolicy, Labels
from rtsp_filter.routes.conditions import Condition
from rtsp_filter.routes.header_changes import NO_CHANGES, MessageChanges
from rtsp_filter.routes.mirrors import Mirror
from rtsp_filter.routes.paths import MatchKind, PathMatcher, Rewrite
from rtsp_filter.routes.patience import PATIENCE, Patience
from rtsp_filter.routes.redirects import Redirect
from rtsp_filter.routes.request import RouteRequest

_SEPARATOR = re.compile(r"[/\\]")
_PATH_END = re.compile(r"[?#]")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedCluster:
    """A cluster and its share of a route's sessions."""

    name: str
    weight: int = 1
    labels: Labels = frozenset()
    """What its endpoints must have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteEntry:
    """One route of a virtual host: for requests whose path fits `match` and that fulfil all `conditions`.

    They go to one of `clusters`, or are answered with `redirect`.
    """

    name: str
    match: PathMatcher
    clusters: tuple[WeightedCluster, ...] = ()
    redirect: Redirect | None = None
    conditions: tuple[Condition, ...] = ()
    rewrite: Rewrite | None = None
    headers: MessageChanges = NO_CHANGES
    patience: Patience = PATIENCE
    hash_policies: tuple[HashPolicy, ...] = ()
    """What of a request says where it is at home."""
    mirrors: tuple[Mirror, ...] = ()
    users: str = ""
    """The name of those whom it is for, who have to prove it; empty: it is for everybody."""

    @property
    def wanted(self) -> str:
        """What a request must be like, for people."""
        return ", ".join(map(str, (self.match, *self.conditions)))

    def unmet(self, request: RouteRequest) -> Condition | None:
        """The first condition that `request` does not fulfil, its path apart; None if there is none."""
        return next((condition for condition in self.conditions if not condition.holds(request)), None)

    def rewritten(self, path: str) -> str:
        """The path after the rewrite; it always begins with "/"."""
        new = path if self.rewrite is None else self.rewrite.apply(path, self.match)
        return new if new.startswith("/") else f"/{new}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualHost:
    """Routes for some domains, in the order in which they are tried."""

    name: str
    domains: tuple[str, ...]
    routes: tuple[RouteEntry, ...]
    _index: RouteIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", RouteIndex(self.routes))

    def find(self, request: RouteRequest) -> RouteEntry | None:
        """The first route that matches `request`.

        A path with "." or ".." as an element matches none: behind a base path it would reach what the route does not
        give.
        """
        path = request.plain_path
        if has_dot_segments(path):
            return None
        routes = (self.routes[position] for position in self._index.positions(path))
        return next((route for route in routes if route.unmet(request) is None), None)


class RouteIndex:
    """Finds the first of many routes without trying them all: most are one camera's path, and those are looked up."""

    def __init__(self, routes: Sequence[RouteEntry]) -> None:
        self._exact: dict[str, list[int]] = {}
        self._prefixes: dict[str, list[int]] = {}
        self._others: dict[int, PathMatcher] = {}
        for position, route in enumerate(routes):
            if route.match.kind is MatchKind.EXACT:
                self._exact.setdefault(route.match.value, []).append(position)
            elif route.match.kind is MatchKind.PATH_PREFIX:
                self._prefixes.setdefault(route.match.value, []).append(position)
            else:
                self._others[position] = route.match

    def positions(self, path: str) -> Iterator[int]:
        """The positions of the routes whose paths match `path`, from the first; each is looked for when asked for."""
        ends = [end for end, character in enumerate(path) if character == "/"]
        found = [self._prefixes.get(path[:end], ()) for end in (*ends, len(path))]
        for position in merge(*found, self._exact.get(path, ()), self._others):
            matcher = self._others.get(position)
            if matcher is None or matcher.matches(path):
                yield position


def has_dot_segments(path: str) -> bool:
    """Whether the path has "." or ".." as an element: it would leave the route's own part of the camera.

    Cameras may decode before they split, and some run on systems where a backslash separates too; so dots and
    separators count plain and percent-encoded.
    """
    return any(element in (".", "..") for element in _SEPARATOR.split(unquote(path)))


def plain_spelling(path: str) -> str:
    """The path as a server may read it that decodes before it splits: one slash between elements, none at the end."""
    decoded = _PATH_END.split(unquote(path), maxsplit=1)[0]
    return "/" + "/".join(element for element in _SEPARATOR.split(decoded) if element)


def upstream_path(base: str, path: str, query: str) -> str:
    """The path to ask an endpoint for: its base path, then `path`, then both queries.

    "/" after a base path is the base path itself; slashes do not double. `query` has its "?".
    """
    base_path, _, base_query = base.partition("?")
    joined = (base_path or "/") if path == "/" else base_path.rstrip("/") + path
    if not base_query:
        return joined + query
    return f"{joined}?{base_query}" + (f"&{query[1:]}" if len(query) > 1 else "")


def choose(weights: Sequence[int], random: float) -> tuple[int, Fraction]:
    """The index that `random` falls on, and where in that share, in [0, 1): chance enough for the next choice.

    Fractions, because a product of floats can round up into the next share. Some weight must not be 0.
    """
    point = Fraction(random) * sum(weights)
    index = 0
    while point >= weights[index]:
        point -= weights[index]
        index += 1
    return index, point / weights[index]
