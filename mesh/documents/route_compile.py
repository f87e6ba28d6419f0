"""RTSPRoute documents → routes of the mesh."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mesh.documents.kubernetes import Protocol
from mesh.documents.loaded import object_name
from mesh.documents.media_policy import seconds
from mesh.documents.route_filters import Header, PathModifier
from mesh.documents.route_filters import HeaderModifier as ModifierDocument
from mesh.documents.route_filters import RequestRedirect as RedirectDocument
from mesh.documents.rtsp_route import HeaderMatch, QueryParamMatch, RouteMatch, RouteRule, RTSPRoute
from mesh.documents.services import referred, weighted_backends
from mesh.model import (
    HeaderModifier,
    Match,
    Mirror,
    NamedMatch,
    ObjectName,
    PathMatch,
    PathRewrite,
    Redirect,
    Retry,
    Route,
    Rule,
)


def compile_route(route: RTSPRoute) -> Route:
    """The route that a document describes; `checks` have found no fault in it."""
    rules = (_rule(rule, rule.name or f"rule-{index}", route) for index, rule in enumerate(route.spec.rules))
    return Route(name=object_name(route), hostnames=route.spec.hostnames, rules=tuple(rules))


def _rule(rule: RouteRule, name: str, route: RTSPRoute) -> Rule:
    filters = {item.type: item for item in rule.filters}
    found = {
        field: next((value for item in filters.values() if (value := getattr(item, field)) is not None), None)
        for field in (
            "url_rewrite",
            "request_redirect",
            "request_header_modifier",
            "response_header_modifier",
            "extension_ref",
        )
    }
    rewrite, extension = found["url_rewrite"], found["extension_ref"]
    timeouts = rule.timeouts
    return Rule(
        name=name,
        matches=tuple(map(_match, rule.matches or (RouteMatch(),))),
        backends=weighted_backends(rule.backend_refs, route.metadata.namespace, Protocol.TCP),
        rewrite=None if rewrite is None else _path(rewrite.path),
        redirect=_redirect(found["request_redirect"]),
        mirrors=tuple(_mirrors(rule, route.metadata.namespace)),
        request_headers=_modifier(found["request_header_modifier"]),
        response_headers=_modifier(found["response_header_modifier"]),
        timeout=None if timeouts is None else _seconds(timeouts.request),
        try_timeout=None if timeouts is None else _seconds(timeouts.backend_request),
        retry=None if rule.retry is None else Retry(attempts=rule.retry.attempts, codes=rule.retry.codes),
        users=None if extension is None else ObjectName(route.metadata.namespace, extension.name),
    )


def _mirrors(rule: RouteRule, namespace: str) -> Iterator[Mirror]:
    for item in rule.filters:
        if item.request_mirror is not None:
            backend = referred(item.request_mirror.backend_ref, namespace, Protocol.TCP)
            yield Mirror(backend=backend, part=item.request_mirror.part)


def _match(match: RouteMatch) -> Match:
    return Match(
        path=PathMatch(type=match.path.type, value=match.path.value),
        headers=tuple(map(_named, match.headers)),
        query_params=tuple(map(_named, match.query_params)),
        method=match.method,
    )


def _named(match: HeaderMatch | QueryParamMatch) -> NamedMatch:
    return NamedMatch(name=match.name, type=match.type, value=match.value)


def _path(path: PathModifier) -> PathRewrite:
    value = path.replace_full_path if path.replace_full_path is not None else path.replace_prefix_match
    return PathRewrite(type=path.type, value=value or "/")


def _redirect(redirect: RedirectDocument | None) -> Redirect | None:
    if redirect is None:
        return None
    return Redirect(
        secure=redirect.scheme is not None,
        hostname=redirect.hostname or "",
        port=redirect.port,
        path=None if redirect.path is None else _path(redirect.path),
        status=redirect.status_code,
    )


def _modifier(modifier: ModifierDocument | None) -> HeaderModifier:
    if modifier is None:
        return HeaderModifier()
    return HeaderModifier(set=_pairs(modifier.set), add=_pairs(modifier.add), remove=modifier.remove)


def _pairs(headers: Sequence[Header]) -> tuple[tuple[str, str], ...]:
    return tuple((header.name, header.value) for header in headers)


def _seconds(duration: str | None) -> float | None:
    return None if duration is None else seconds(duration)
