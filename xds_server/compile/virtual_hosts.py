"""Routes → Envoy's virtual hosts, in the order in which Gateway API wants them tried.

Envoy takes the one virtual host with the most specific domain and in it the first route that matches. Gateway API goes
on with less specific hostnames when no rule of the most specific one matches. So each virtual host lists first the
routes of its own hostname and after them the routes of every hostname that covers it.

Within one hostname: Exact, then RegularExpression, then PathPrefix from long to short; of equal paths first those with
a method, then those with more headers, then those with more query parameters; equal ones by the route's name.

Envoy API: config.route.v3.VirtualHost, RouteMatch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from envoy.config.route.v3 import route_components_pb2

from mesh.model import Match, NamedMatch, PathMatch, PathMatchType, Route, Rule, TextMatchType
from xds_server.compile.route_actions import prefix_of, set_action
from xds_server.compile.users import set_users

ANY_HOST = "*"
_RANK = {PathMatchType.EXACT: 0, PathMatchType.REGULAR_EXPRESSION: 1, PathMatchType.PATH_PREFIX: 2}


@dataclass(frozen=True, slots=True)
class CompiledRoute:
    """A route's hostnames, and its Envoy routes with the keys that order them."""

    hostnames: tuple[str, ...]
    entries: tuple[tuple[tuple[Any, ...], Any], ...]


def compile_route(route: Route) -> CompiledRoute:
    """The Envoy routes of one route: one for each match of each rule, named `namespace/route/rule`."""
    entries = []
    for rule_index, rule in enumerate(route.rules):
        for match_index, match in enumerate(rule.matches):
            order = (*_precedence(match), str(route.name), rule_index, match_index)
            entries.append((order, _envoy_route(f"{route.name}/{rule.name}", rule, match)))
    return CompiledRoute(route.hostnames or (ANY_HOST,), tuple(entries))


def virtual_hosts(routes: Iterable[CompiledRoute]) -> Iterator[Any]:
    """One VirtualHost for each hostname that any route has."""
    by_host: dict[str, list[CompiledRoute]] = {}
    for route in routes:
        for host in dict.fromkeys(route.hostnames):
            by_host.setdefault(host, []).append(route)
    for host in sorted(by_host):
        virtual_host = route_components_pb2.VirtualHost(name=host, domains=[host])
        virtual_host.routes.extend(_routes_for(host, by_host))
        yield virtual_host


def _routes_for(host: str, by_host: dict[str, list[CompiledRoute]]) -> Iterator[Any]:
    seen: set[int] = set()
    for candidate in covering(host):
        group = [route for route in by_host.get(candidate, ()) if id(route) not in seen]
        seen.update(map(id, group))
        entries = (entry for route in group for entry in route.entries)
        yield from (message for _, message in sorted(entries, key=lambda entry: entry[0]))


def covering(host: str) -> Iterator[str]:
    """Hostnames whose routes also apply to `host`, itself first, from the most specific to `*`."""
    yield host
    if host == ANY_HOST:
        return
    labels = host.removeprefix("*.").split(".")
    for index in range(1, len(labels)):
        yield "*." + ".".join(labels[index:])
    yield ANY_HOST


def _precedence(match: Match) -> tuple[int, ...]:
    """What orders matches of one hostname; the lowest is tried first."""
    path = match.path
    return (_RANK[path.type], -_length(path), match.method is None, -len(match.headers), -len(match.query_params))


def _envoy_route(name: str, rule: Rule, match: Match) -> Any:
    route = route_components_pb2.Route(name=name, match=_route_match(match))
    set_action(route, match.path, rule)
    if rule.users is not None:
        set_users(route, rule.users)
    return route


def _length(match: PathMatch) -> int:
    return len(prefix_of(match)) if match.type is PathMatchType.PATH_PREFIX else 0


def _route_match(match: Match) -> Any:
    message = _path_match(match.path)
    if match.method is not None:
        message.headers.add(name=":method").string_match.exact = match.method.value
    for header in match.headers:
        _set_text(message.headers.add(name=header.name).string_match, header)
    for parameter in match.query_params:
        _set_text(message.query_parameters.add(name=parameter.name).string_match, parameter)
    return message


def _set_text(matcher: Any, match: NamedMatch) -> None:
    if match.type is TextMatchType.REGULAR_EXPRESSION:
        matcher.safe_regex.regex = match.value
    else:
        matcher.exact = match.value


def _path_match(match: PathMatch) -> Any:
    if match.type is PathMatchType.EXACT:
        return route_components_pb2.RouteMatch(path=match.value)
    if match.type is PathMatchType.REGULAR_EXPRESSION:
        return route_components_pb2.RouteMatch(safe_regex={"regex": match.value})
    if prefix_of(match) == "":
        return route_components_pb2.RouteMatch(prefix="/")
    return route_components_pb2.RouteMatch(path_separated_prefix=prefix_of(match))
