"""What an RTSPRoute says: which requests it is for, and what becomes of them.

Part of the Mesh (`mesh.model`): immutable values, in the terms of Gateway API's HTTPRoute.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mesh.objects import ObjectName, WeightedBackend


class PathMatchType(Enum):
    """How a path is compared (Gateway API, HTTPPathMatch.type)."""

    EXACT = "Exact"
    PATH_PREFIX = "PathPrefix"
    REGULAR_EXPRESSION = "RegularExpression"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMatch:
    """One path condition. `value` is a path, or an RE2 expression that must match the whole path."""

    type: PathMatchType
    value: str


class TextMatchType(Enum):
    """How a value is compared (Gateway API, HTTPHeaderMatch.type, HTTPQueryParamMatch.type)."""

    EXACT = "Exact"
    REGULAR_EXPRESSION = "RegularExpression"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedMatch:
    """A condition on the header, or query parameter, of this name: `value` is a text, or an RE2 expression that must
    match the whole of it."""

    name: str
    type: TextMatchType
    value: str


class RoutedMethod(Enum):
    """The methods that a route can tell apart: those that lead a player or publisher to a server."""

    DESCRIBE = "DESCRIBE"
    ANNOUNCE = "ANNOUNCE"
    SETUP = "SETUP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What a request must be like: all of this. No method means any."""

    path: PathMatch
    headers: tuple[NamedMatch, ...] = ()
    query_params: tuple[NamedMatch, ...] = ()
    method: RoutedMethod | None = None


class PathRewriteType(Enum):
    """How a path is changed on the way to the backend (Gateway API, HTTPPathModifier.type)."""

    REPLACE_FULL_PATH = "ReplaceFullPath"
    REPLACE_PREFIX_MATCH = "ReplacePrefixMatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRewrite:
    """A change of the path, before the endpoint's base path is put in front of it."""

    type: PathRewriteType
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Any of `matches` sends a session to one of `backends`."""

    name: str
    matches: tuple[Match, ...]
    backends: tuple[WeightedBackend, ...]
    rewrite: PathRewrite | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An RTSPRoute. No hostnames means any host."""

    name: ObjectName
    rules: tuple[Rule, ...]
    hostnames: tuple[str, ...] = ()
