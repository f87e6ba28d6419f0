"""The parts of a route table: how a request is matched, its path rewritten and joined to an endpoint's own path.

These are Envoy's rules (config.route.v3.RouteMatch, RouteAction), on paths as they are written: nothing is decoded,
upper and lower case differ, and a query is never part of what is matched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from heapq import merge
from typing import Any
from urllib.parse import unquote

from mesh.model import Endpoint
from mesh.regex import compile_regex
from rtsp_filter.route_conditions import Condition
from rtsp_filter.route_request import RouteRequest

_SEPARATOR = re.compile(r"[/\\]")
_REFERENCE = re.compile(r"\\(.?)|([^\\]+)", re.DOTALL)


class MatchKind(Enum):
    """How a route compares paths; the values are for people."""

    EXACT = "is"
    PREFIX = "starts with"
    PATH_PREFIX = "is or is below"
    REGEX = "matches"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMatcher:
    """A condition on a path."""

    kind: MatchKind
    value: str
    regex: Any = field(default=None, compare=False, repr=False)

    def matches(self, path: str) -> bool:
        """Whether `path`, which has no query, fulfils the condition."""
        if self.kind is MatchKind.EXACT:
            return path == self.value
        if self.kind is MatchKind.REGEX:
            return self.regex.fullmatch(path) is not None
        if not path.startswith(self.value):
            return False
        return self.kind is MatchKind.PREFIX or path[len(self.value) : len(self.value) + 1] in ("", "/")

    def __str__(self) -> str:
        return f'{self.kind.value} "{self.value}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixRewrite:
    """RouteAction.prefix_rewrite: what matched is replaced, so for a prefix the rest stays."""

    text: str

    def apply(self, path: str, matcher: PathMatcher) -> str:
        """The new path."""
        if matcher.kind in (MatchKind.PREFIX, MatchKind.PATH_PREFIX):
            return self.text + path[len(matcher.value) :]
        return self.text

    def __str__(self) -> str:
        return f'what matched is replaced by "{self.text}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class RegexRewrite:
    """RouteAction.regex_rewrite: every match of a pattern is replaced. In the text `\\0` to `\\9` stand for groups."""

    pattern: str
    substitution: str
    regex: Any = field(compare=False, repr=False)
    pieces: tuple[str | int, ...] = field(compare=False, repr=False)

    @staticmethod
    def of(pattern: str, substitution: str) -> RegexRewrite:
        """Raises ValueError for a pattern or substitution that cannot be used."""
        regex = compile_regex(pattern)
        pieces = tuple(map(_piece, _REFERENCE.finditer(substitution)))
        if any(isinstance(piece, int) and piece > regex.groups for piece in pieces):
            raise ValueError(f'"{substitution}" refers to a group that "{pattern}" has not')
        return RegexRewrite(pattern=pattern, substitution=substitution, regex=regex, pieces=pieces)

    def apply(self, path: str, matcher: PathMatcher) -> str:
        """The new path."""
        return str(self.regex.sub(self._replacement, path))

    def _replacement(self, match: Any) -> str:
        return "".join(match.group(piece) or "" if isinstance(piece, int) else piece for piece in self.pieces)

    def __str__(self) -> str:
        return f'"{self.pattern}" is replaced by "{self.substitution}"'


Rewrite = PrefixRewrite | RegexRewrite


def _piece(match: re.Match[str]) -> str | int:
    escaped, plain = match.groups()
    if plain is not None:
        return str(plain)
    if escaped.isdigit():
        return int(escaped)
    if escaped == "\\":
        return "\\"
    raise ValueError(f'"\\{escaped}" means nothing in a substitution')


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedCluster:
    """A cluster and its share of a route's sessions."""

    name: str
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteEntry:
    """One route of a virtual host: for requests whose path fits `match` and that fulfil all `conditions`."""

    name: str
    match: PathMatcher
    clusters: tuple[WeightedCluster, ...]
    conditions: tuple[Condition, ...] = ()
    rewrite: Rewrite | None = None

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where a cluster's endpoints are: in itself, or (None) in the assignment of that name."""

    name: str
    endpoints: tuple[Endpoint, ...] | None = None
    assignment: str = ""


def has_dot_segments(path: str) -> bool:
    """Whether the path has "." or ".." as an element: it would leave the route's own part of the camera.

    Cameras may decode before they split, and some run on systems where a backslash separates too; so dots and
    separators count plain and percent-encoded.
    """
    return any(element in (".", "..") for element in _SEPARATOR.split(unquote(path)))


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
