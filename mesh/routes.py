"""What an RTSPRoute says: which requests it is for, and what becomes of them.

Part of the Mesh (`mesh.model`): immutable values, in the terms of Gateway API's HTTPRoute.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

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
class Redirect:
    """What is different in the URL that a player is told to ask for. `secure`: rtsps; `status`: 301, 302 or 303."""

    secure: bool = False
    hostname: str = ""
    port: int | None = None
    path: PathRewrite | None = None
    status: int = 302


# Headers that belong to a connection, or that the proxy writes or reads itself: changed, a session would break, or the
# change would have no effect. In lower case.
PROTECTED_HEADERS = frozenset(
    {
        "connection",
        "content-base",
        "content-length",
        "content-location",
        "content-type",
        "cseq",
        "location",
        "proxy-authorization",
        "proxy-require",
        "public",
        "rtp-info",
        "session",
        "transport",
        "via",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderModifier:
    """Changes to headers (Gateway API, HTTPHeaderFilter): names and values, and names."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """A backend where a part (0 to 1) of the sessions that are played is set up as well, to be measured."""

    backend: ObjectName
    part: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a session's first request is tried at another endpoint, and for which statuses."""

    attempts: int = 1
    codes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Any of `matches` sends a session to one of `backends`, or away by `redirect`.

    `timeout` and `try_timeout` are seconds for a session's first request, all tries together and each; without
    `retry`, proxies do as they do by themselves. `users` names those that it is for, who have to prove it; without, it
    is for everybody.
    """

    name: str
    matches: tuple[Match, ...]
    backends: tuple[WeightedBackend, ...] = ()
    rewrite: PathRewrite | None = None
    redirect: Redirect | None = None
    mirrors: tuple[Mirror, ...] = ()
    request_headers: HeaderModifier = HeaderModifier()
    response_headers: HeaderModifier = HeaderModifier()
    timeout: float | None = None
    try_timeout: float | None = None
    retry: Retry | None = None
    users: ObjectName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An RTSPRoute. No hostnames means any host."""

    name: ObjectName
    rules: tuple[Rule, ...]
    hostnames: tuple[str, ...] = ()
