"""Rules that span several fields, which a single field's type cannot say.

Each check yields findings: the path of the field at fault and one sentence. They need one document only; references
between documents are checked where documents become a mesh.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mesh.documents.backend import Backend
from mesh.documents.findings import Finding, check_refs, repeated
from mesh.documents.gateway import Gateway
from mesh.documents.gateway_checks import check_gateway, check_policy, check_transport_route
from mesh.documents.media_policy import MediaPolicy
from mesh.documents.problems import FieldPath
from mesh.documents.rtsp_route import HeaderMatch, PathModifier, QueryParamMatch, RouteMatch, RouteRule, RTSPRoute
from mesh.documents.transport_route import TCPRoute, UDPRoute
from mesh.model import PathMatchType, PathRewriteType, TextMatchType
from mesh.regex import compile_regex

# Sequences that make two spellings of one path (Gateway API forbids them too).
_AMBIGUOUS = ("//", "/./", "/../", "%2f", "%2F", "#", "?")
_AMBIGUOUS_ENDS = ("/.", "/..")


def check_document(document: object) -> Iterator[Finding]:
    """All findings in one document, of whatever kind."""
    if isinstance(document, RTSPRoute):
        yield from _check_route(document)
    elif isinstance(document, Backend):
        names = (endpoint.name for endpoint in document.spec.endpoints)
        yield from repeated(names, ("spec", "endpoints"))
    elif isinstance(document, Gateway):
        yield from check_gateway(document)
    elif isinstance(document, UDPRoute | TCPRoute):
        yield from check_transport_route(document)
    elif isinstance(document, MediaPolicy):
        yield from check_policy(document)


def _check_route(route: RTSPRoute) -> Iterator[Finding]:
    rules = ("spec", "rules")
    yield from repeated((rule.name or f"rule-{i}" for i, rule in enumerate(route.spec.rules)), rules)
    for index, rule in enumerate(route.spec.rules):
        yield from _check_rule(rule, (*rules, index))


def _check_rule(rule: RouteRule, at: FieldPath) -> Iterator[Finding]:
    for index, match in enumerate(rule.matches):
        yield from _check_match(match, (*at, "matches", index))
    yield from _check_filters(rule, (*at, "filters"))
    yield from check_refs(rule.backend_refs, (*at, "backendRefs"))


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
    for index, item in enumerate(rule.filters):
        if index > 0:
            yield (*at, index, "type"), f"a second {item.type.value} filter; a rule has at most one of each type"
        if item.url_rewrite is None:
            yield (*at, index), f'type {item.type.value} needs the field "urlRewrite"'
        else:
            yield from _check_modifier(item.url_rewrite.path, rule, (*at, index, "urlRewrite", "path"))


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
