"""The account of a routing decision, in plain words: what was looked at, what fitted, what did not, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rtsp_filter.balancing import ClusterPolicy
from rtsp_filter.routes.matching import RouteEntry, VirtualHost, has_dot_segments
from rtsp_filter.routes.patience import PATIENCE
from rtsp_filter.routes.request import RouteRequest, bare_host

if TYPE_CHECKING:
    from rtsp_filter.routes.table import Answer, RouteTable

_NO_POLICY = ClusterPolicy()
# Sentences about routes that did not match; a reader who needs more has the list of routes.
MAX_MISSES = 50


def explain(
    table: RouteTable, request: RouteRequest, virtual_host: VirtualHost | None, answer: Answer
) -> Iterator[str]:
    """One sentence for each step from `request` to `answer`."""
    yield _about_host(table, bare_host(request.host), virtual_host)
    if virtual_host is None:
        return
    path = request.plain_path
    if has_dot_segments(path):
        yield f'The path "{path}" has "." or ".." as an element; no route is followed with such a path.'
        return
    route = virtual_host.find(request)
    yield from _about_routes(virtual_host, route, request)
    if route is not None:
        if route.users:
            yield f"Who asks has to prove a password: {route.users} says whose."
        yield from _about_clusters(table, route)
        yield from _about_answer(table, route, path, answer)


def _about_host(table: RouteTable, host: str, found: VirtualHost | None) -> str:
    others = [item.name for item in table.hosts.virtual_hosts if item is not found]
    if found is None:
        return f'No virtual host is for "{host}"; there are: {_some(others)}.'
    rest = f"; others are less specific or for other hosts: {_some(others)}" if others else ""
    return f'For the host "{host}" the virtual host {found.name} applies (domains: {_some(found.domains)}){rest}.'


def _about_routes(virtual_host: VirtualHost, winner: RouteEntry | None, request: RouteRequest) -> Iterator[str]:
    routes, path = virtual_host.routes, request.plain_path
    tried = routes.index(winner) if winner is not None else len(routes)
    for route in routes[: min(tried, MAX_MISSES)]:
        yield f"Route {route.name} does not match: {_missed(route, request)}."
    if tried > MAX_MISSES:
        yield f"{tried - MAX_MISSES} more routes do not match."
    if winner is None:
        rest = "" if all(not route.match.matches(path) for route in routes) else " and has all else that is wanted"
        yield f'No route of virtual host {virtual_host.name} matches the path "{path}"{rest}.'
        return
    left = len(routes) - tried - 1
    rest = f" Routes after it, not looked at: {left}." if left else ""
    yield f'Route {winner.name} matches: the path "{path}" {winner.wanted}.{rest}'


def _missed(route: RouteEntry, request: RouteRequest) -> str:
    path = request.plain_path
    if not route.match.matches(path):
        return f'it wants a path that {route.match}, not "{path}"'
    return f"it wants more than the path: {route.unmet(request)}"


def _about_clusters(table: RouteTable, route: RouteEntry) -> Iterator[str]:
    total = sum(share.weight for share in route.clusters)
    for share in route.clusters:
        endpoints = len(table.endpoints(share.name))
        known = "" if share.name in table.clusters else " (this cluster is not known)"
        yield (
            f"Backend {share.name} has weight {share.weight} of {total} ({100 * share.weight / total:.3g} %) "
            f"and {endpoints} endpoint(s){known}."
        )
        cluster = table.clusters.get(share.name)
        if cluster is not None and cluster.policy != _NO_POLICY:
            yield f"Each proxy has backend {share.name} {cluster.policy}."
    for mirror in route.mirrors:
        yield f"Of the sessions that are played {mirror}, and their media is measured and shown to nobody."


def _about_answer(table: RouteTable, route: RouteEntry, path: str, answer: Answer) -> Iterator[str]:
    if hasattr(answer, "message"):
        yield f"There is nowhere to go: {answer.message}."
        return
    if route.rewrite is not None:
        yield f'The rewrite ({route.rewrite}) makes "{route.rewritten(path)}" of the path "{path}".'
    if hasattr(answer, "location"):
        yield f"The player is told to ask for {answer.location} instead: {route.redirect}."
        return
    if route.patience != PATIENCE:
        yield f"What begins a session is tried so: {route.patience}."
    upstream = answer.upstream
    base = f', its base path "{upstream.base_path}" in front' if upstream.base_path else ""
    yield (
        f"Chosen: endpoint {upstream.name} at {upstream.address}, port {upstream.port}; "
        f'it is asked for "{upstream.path}"{base}.'
    )


def _some(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(names[:MAX_MISSES]) or "none"
    return shown if len(names) <= MAX_MISSES else f"{shown} and {len(names) - MAX_MISSES} more"
