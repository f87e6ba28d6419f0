"""Rules of an RTSPRoute that span several fields; see `checks`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mesh.documents.findings import Finding, check_namespace, check_refs, repeated
from mesh.documents.media_policy import seconds
from mesh.documents.problems import FieldPath
from mesh.documents.request_mirror import check_mirror
from mesh.documents.route_filters import (
    FilterType,
    HeaderModifier,
    PathModifier,
    RequestRedirect,
    RouteFilter,
    RouteTimeouts,
)
from mesh.documents.rtsp_route import HeaderMatch, QueryParamMatch, RouteMatch, RouteRule, RTSPRoute
from mesh.model import PROTECTED_HEADERS, PathMatchType, PathRewriteType, RoutedMethod, TextMatchType
from mesh.regex import compile_regex

# Sequences that make two spellings of one path (Gateway API forbids them too).
_AMBIGUOUS = ("//", "/./", "/../", "%2f", "%2F", "#", "?")
_AMBIGUOUS_ENDS = ("/.", "/..")
_FIELDS = {
    FilterType.URL_REWRITE: ("urlRewrite", "url_rewrite"),
    FilterType.REQUEST_REDIRECT: ("requestRedirect", "request_redirect"),
    FilterType.REQUEST_MIRROR: ("requestMirror", "request_mirror"),
    FilterType.REQUEST_HEADER_MODIFIER: ("requestHeaderModifier", "request_header_modifier"),
    FilterType.RESPONSE_HEADER_MODIFIER: ("responseHeaderModifier", "response_header_modifier"),
    FilterType.EXTENSION_REF: ("extensionRef", "extension_ref"),
}


def check_route(route: RTSPRoute) -> Iterator[Finding]:
    """All findings in one route."""
    rules = ("spec", "rules")
    yield from repeated((rule.name or f"rule-{i}" for i, rule in enumerate(route.spec.rules)), rules)
    for index, rule in enumerate(route.spec.rules):
        yield from _check_rule(rule, (*rules, index))
        yield from _check_namespaces(rule, route.metadata.namespace, (*rules, index))


def _check_rule(rule: RouteRule, at: FieldPath) -> Iterator[Finding]:
    mirrored = any(item.request_mirror is not None for item in rule.filters)
    for index, match in enumerate(rule.matches):
        yield from _check_match(match, (*at, "matches", index))
        if mirrored and match.method is RoutedMethod.ANNOUNCE:
            yield (*at, "matches", index, "method"), "what a client records cannot be mirrored (RequestMirror)"
    yield from _check_filters(rule, (*at, "filters"))
    yield from _check_destination(rule, at)
    if rule.timeouts is not None:
        yield from _check_timeouts(rule.timeouts, (*at, "timeouts"))


def _check_namespaces(rule: RouteRule, namespace: str, at: FieldPath) -> Iterator[Finding]:
    """Backends and mirrors of the route's own namespace."""
    for index, ref in enumerate(rule.backend_refs):
        yield from check_namespace(ref, namespace, (*at, "backendRefs", index))
    for index, item in enumerate(rule.filters):
        if item.request_mirror is not None:
            mirror = item.request_mirror.backend_ref
            yield from check_namespace(mirror, namespace, (*at, "filters", index, "requestMirror", "backendRef"))


def _check_destination(rule: RouteRule, at: FieldPath) -> Iterator[Finding]:
    """A rule sends sessions to backends, or away."""
    types = {item.type for item in rule.filters}
    if FilterType.REQUEST_REDIRECT not in types:
        if not rule.backend_refs:
            yield at, "a rule needs backendRefs, or a filter of type RequestRedirect"
        else:
            yield from check_refs(rule.backend_refs, (*at, "backendRefs"))
        return
    if rule.backend_refs:
        yield (*at, "backendRefs"), "a rule that redirects sends no session to a backend"
    if types & {FilterType.URL_REWRITE, FilterType.REQUEST_HEADER_MODIFIER}:
        yield (*at, "filters"), "a rule that redirects asks no backend: neither URLRewrite nor RequestHeaderModifier"
    if FilterType.REQUEST_MIRROR in types:
        yield (*at, "filters"), "a rule that redirects has no session to mirror: no RequestMirror"
    for field in ("timeouts", "retry"):
        if getattr(rule, field) is not None:
            yield (*at, field), "a rule that redirects asks no backend"


def _check_match(match: RouteMatch, at: FieldPath) -> Iterator[Finding]:
    if match.path.type is PathMatchType.REGULAR_EXPRESSION:
        yield from _check_regex(match.path.value, (*at, "path", "value"))
    else:
        yield from _check_path(match.path.value, (*at, "path", "value"))
    yield from repeated((header.name.lower() for header in match.headers), (*at, "headers"))
    yield from repeated((parameter.name for parameter in match.query_params), (*at, "queryParams"))
    yield from _check_values(match.headers, (*at, "headers"))
    yield from _check_values(match.query_params, (*at, "queryParams"))


def _check_values(conditions: Iterable[HeaderMatch | QueryParamMatch], at: FieldPath) -> Iterator[Finding]:
    for index, condition in enumerate(conditions):
        if condition.type is TextMatchType.REGULAR_EXPRESSION:
            yield from _check_regex(condition.value, (*at, index, "value"))


def _check_regex(pattern: str, at: FieldPath) -> Iterator[Finding]:
    try:
        compile_regex(pattern)
    except ValueError as error:
        yield at, str(error)


def _check_path(value: str, at: FieldPath) -> Iterator[Finding]:
    if not value.startswith("/"):
        yield at, 'a path begins with "/"'
    for text in _AMBIGUOUS:
        if text in value:
            yield at, f'a path must not contain "{text}"'
    for text in _AMBIGUOUS_ENDS:
        if value.endswith(text):
            yield at, f'a path must not end with "{text}"'
    if any(character <= " " or character == "\x7f" for character in value):
        yield at, "a path must not contain spaces or control characters"


def _check_filters(rule: RouteRule, at: FieldPath) -> Iterator[Finding]:
    seen: set[FilterType] = set()
    for index, item in enumerate(rule.filters):
        if item.type in seen and item.type is not FilterType.REQUEST_MIRROR:
            yield (*at, index, "type"), f"a second {item.type.value} filter; a rule has at most one of each type"
        seen.add(item.type)
        yield from _check_fields(item, (*at, index))
        if item.url_rewrite is not None:
            yield from _check_modifier(item.url_rewrite.path, rule, (*at, index, "urlRewrite", "path"))
        if item.request_redirect is not None:
            yield from _check_redirect(item.request_redirect, rule, (*at, index, "requestRedirect"))
        if item.request_mirror is not None:
            yield from check_mirror(item.request_mirror, (*at, index, "requestMirror"))
        for modifier, name in (
            (item.request_header_modifier, "requestHeaderModifier"),
            (item.response_header_modifier, "responseHeaderModifier"),
        ):
            if modifier is not None:
                yield from _check_headers(modifier, (*at, index, name))


def _check_fields(item: RouteFilter, at: FieldPath) -> Iterator[Finding]:
    for kind, (alias, name) in _FIELDS.items():
        given = getattr(item, name) is not None
        if kind is item.type and not given:
            yield at, f'type {kind.value} needs the field "{alias}"'
        elif kind is not item.type and given:
            yield (*at, alias), f"this field goes with type {kind.value}, not with {item.type.value}"


def _check_redirect(redirect: RequestRedirect, rule: RouteRule, at: FieldPath) -> Iterator[Finding]:
    if redirect.path is not None:
        yield from _check_modifier(redirect.path, rule, (*at, "path"))
    if redirect.model_dump(exclude={"status_code"}, exclude_none=True) == {}:
        yield at, "it changes nothing, so players would come back for ever"


def _check_headers(modifier: HeaderModifier, at: FieldPath) -> Iterator[Finding]:
    places = [((*at, "set", index, "name"), header.name) for index, header in enumerate(modifier.set)]
    places += [((*at, "add", index, "name"), header.name) for index, header in enumerate(modifier.add)]
    places += [((*at, "remove", index), name) for index, name in enumerate(modifier.remove)]
    for place, name in places:
        if name.lower() in PROTECTED_HEADERS:
            yield place, f"the header {name} belongs to the proxy; routes cannot change it"
    if not places:
        yield at, "it changes nothing"


def _check_timeouts(timeouts: RouteTimeouts, at: FieldPath) -> Iterator[Finding]:
    if timeouts.request is None or timeouts.backend_request is None:
        return
    if seconds(timeouts.backend_request) > seconds(timeouts.request):
        yield (*at, "backendRequest"), "one try cannot take longer than all of them (request)"


def _check_modifier(modifier: PathModifier, rule: RouteRule, at: FieldPath) -> Iterator[Finding]:
    values = {"replaceFullPath": modifier.replace_full_path, "replacePrefixMatch": modifier.replace_prefix_match}
    full = modifier.type is PathRewriteType.REPLACE_FULL_PATH
    wanted = "replaceFullPath" if full else "replacePrefixMatch"
    for name, value in values.items():
        if name != wanted and value is not None:
            yield (*at, name), f'type {modifier.type.value} goes with "{wanted}", not with this field'
    replacement = values[wanted]
    if replacement is None:
        yield at, f'type {modifier.type.value} needs the field "{wanted}"'
    elif replacement != "" or full:
        yield from _check_path(replacement, (*at, wanted))
    if not full and any(match.path.type is not PathMatchType.PATH_PREFIX for match in rule.matches):
        yield (*at, "type"), "ReplacePrefixMatch needs every match of the rule to be of type PathPrefix"
