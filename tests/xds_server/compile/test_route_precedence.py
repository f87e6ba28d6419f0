"""Compiled routes, read back by a route table, decide as Gateway API says: checked against its rules, written down
here a second time in the plainest way."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.model import (
    Backend,
    Endpoint,
    Match,
    Mesh,
    NamedMatch,
    ObjectName,
    PathMatch,
    PathMatchType,
    PathRewrite,
    PathRewriteType,
    Route,
    RoutedMethod,
    Rule,
    TextMatchType,
    WeightedBackend,
)
from rtsp_filter.routes.table import Chance, Decision, RouteRequest, RouteTable
from rtsp_filter.rtsp import Headers
from xds_server.compile.routes import compile_routes

BACKEND = ObjectName("default", "cams")
NAMED = (
    NamedMatch(name="x", type=TextMatchType.EXACT, value="1"),
    NamedMatch(name="y", type=TextMatchType.REGULAR_EXPRESSION, value="[2-9]"),
)
HOSTNAMES = ("a.com", "b.a.com", "*.com", "*.a.com", "c.org")
HOSTS = ("a.com", "b.a.com", "c.b.a.com", "x.com", "c.org", "com", "other")

_segments = st.sampled_from(["a", "b", "ab", "c.d"])
_paths = st.lists(_segments, max_size=3).map(lambda parts: "/" + "/".join(parts))
_slash = st.sampled_from(["", "/"])
_prefixes = st.builds(lambda path, slash: path if path == "/" else path + slash, _paths, _slash)
_exact = st.builds(PathMatch, type=st.just(PathMatchType.EXACT), value=_prefixes)
_prefix = st.builds(PathMatch, type=st.just(PathMatchType.PATH_PREFIX), value=_prefixes)
_regex = st.builds(
    PathMatch,
    type=st.just(PathMatchType.REGULAR_EXPRESSION),
    value=st.sampled_from(["/a.*", "/[ab]+", "/ab/(a|b)", ".*d"]),
)
_conditions = {
    "method": st.sampled_from([None, None, RoutedMethod.DESCRIBE, RoutedMethod.SETUP]),
    "headers": st.sampled_from([(), (NAMED[0],), (NAMED[1],), NAMED]),
    "query_params": st.sampled_from([(), (NAMED[0],), (NAMED[1],), NAMED]),
}
_replace = st.builds(PathRewrite, type=st.just(PathRewriteType.REPLACE_PREFIX_MATCH), value=_prefixes)
_full = st.builds(PathRewrite, type=st.just(PathRewriteType.REPLACE_FULL_PATH), value=_prefixes)
_shares = (WeightedBackend(backend=BACKEND),)
_plain_rules = st.builds(
    Rule,
    name=st.just(""),
    matches=st.lists(st.builds(Match, path=_exact | _prefix | _regex, **_conditions), min_size=1, max_size=3).map(
        tuple
    ),
    backends=st.just(_shares),
    rewrite=st.none() | _full,
)
_prefix_rules = st.builds(
    Rule,
    name=st.just(""),
    matches=st.lists(st.builds(Match, path=_prefix, **_conditions), min_size=1, max_size=2).map(tuple),
    backends=st.just(_shares),
    rewrite=_replace,
)


@st.composite
def _meshes(draw: st.DrawFn) -> Mesh:
    routes = {}
    for name in draw(st.lists(st.sampled_from("stuvw"), unique=True, min_size=1)):
        rules = draw(st.lists(_plain_rules | _prefix_rules, min_size=1, max_size=3))
        named = tuple(
            Rule(name=f"rule-{i}", matches=rule.matches, backends=rule.backends, rewrite=rule.rewrite)
            for i, rule in enumerate(rules)
        )
        hostnames = tuple(draw(st.lists(st.sampled_from(HOSTNAMES), unique=True, max_size=2)))
        key = ObjectName("default", name)
        routes[key] = Route(name=key, rules=named, hostnames=hostnames)
    backend = Backend(name=BACKEND, endpoints=(Endpoint(name="e", address="192.0.2.1", port=554),))
    return Mesh(routes=routes, backends={BACKEND: backend})


def _host_rank(hostname: str | None, host: str) -> tuple[int, int] | None:
    """How specific a hostname is for a host (exact, length); None if it is for others."""
    if hostname is None:
        return (0, 0)
    if hostname == host:
        return (1, len(hostname))
    if hostname.startswith("*.") and host.endswith(hostname[1:]) and host != hostname[1:]:
        return (0, len(hostname))
    return None


def _elements(path: str) -> list[str]:
    return [element for element in path.split("/") if element]


def _fits(match: Match, path: str, given: tuple[str, ...]) -> bool:
    """Whether the path is as wanted, and `given` are the names of the conditions on headers and on the query."""
    wanted = {each.name for each in (*match.headers, *match.query_params)}
    method = match.method in (None, RoutedMethod.DESCRIBE)
    return _path_fits(match.path, path) and method and wanted <= set(given)


def _path_fits(match: PathMatch, path: str) -> bool:
    if match.type is PathMatchType.EXACT:
        return match.value == path
    if match.type is PathMatchType.REGULAR_EXPRESSION:
        return re.fullmatch(match.value, path) is not None
    wanted = _elements(match.value)
    return _elements(path)[: len(wanted)] == wanted


def _rewritten(rule: Rule, match: PathMatch, path: str) -> str:
    if rule.rewrite is None:
        return path
    if rule.rewrite.type is PathRewriteType.REPLACE_FULL_PATH:
        return rule.rewrite.value
    rest = _elements(path)[len(_elements(match.value)) :]
    return "/" + "/".join(_elements(rule.rewrite.value) + rest)


def _candidates(
    mesh: Mesh, host: str, path: str, given: tuple[str, ...]
) -> Iterator[tuple[tuple[object, ...], str, str]]:
    """All that matches: its rank (the lowest wins), name and the path that it makes."""
    order = [PathMatchType.EXACT, PathMatchType.REGULAR_EXPRESSION, PathMatchType.PATH_PREFIX]
    for route in mesh.routes.values():
        for hostname in route.hostnames or (None,):
            host_rank = _host_rank(hostname, host)
            if host_rank is None:
                continue
            for i, rule in enumerate(route.rules):
                for j, match in enumerate(rule.matches):
                    if _fits(match, path, given):
                        is_prefix = match.path.type is PathMatchType.PATH_PREFIX
                        length = sum(map(len, _elements(match.path.value))) + len(_elements(match.path.value))
                        rank = (
                            (-host_rank[0], -host_rank[1]),
                            order.index(match.path.type),
                            -length if is_prefix else 0,
                            match.method is None,
                            -len(match.headers),
                            -len(match.query_params),
                            str(route.name),
                            i,
                            j,
                        )
                        yield rank, f"{route.name}/{rule.name}", _rewritten(rule, match.path, path)


@settings(max_examples=300)
@given(_meshes(), st.sampled_from(HOSTS), _prefixes, st.sampled_from([(), ("x",), ("y",), ("x", "y")]))
def test_the_route_that_gateway_api_prefers_wins(mesh: Mesh, host: str, path: str, given: tuple[str, ...]) -> None:
    values = [(name, {"x": "1", "y": "7"}[name]) for name in given]
    query = "&".join("=".join(pair) for pair in values)
    request = RouteRequest(host=host, path=f"{path}?{query}", headers=Headers(values))
    *rest, configuration = compile_routes(mesh)
    clusters = [message for message in rest if message.DESCRIPTOR.name == "Cluster"]
    assignments = [message for message in rest if message.DESCRIPTOR.name != "Cluster"]
    table = RouteTable.from_xds(configuration, clusters, assignments)
    answer = table.decide(request, Chance(table, 0.0))
    expected = min(_candidates(mesh, host, path, given), default=None)
    if expected is None:
        assert not isinstance(answer, Decision)
    else:
        assert isinstance(answer, Decision)
        assert answer.route == expected[1]
        assert answer.path.rstrip("/") == expected[2].rstrip("/")
        assert "//" not in answer.path
