"""Envoy's matchers of headers and query parameters → conditions, or a refusal.

Envoy API: config.route.v3.HeaderMatcher, QueryParameterMatcher; type.matcher.v3.StringMatcher.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mesh.regex import compile_regex
from rtsp_filter.resources.reading import only
from rtsp_filter.routes.conditions import (
    Condition,
    HeaderCondition,
    QueryCondition,
    RangeCondition,
    TextCondition,
    TextKind,
)
from rtsp_filter.routes.request import METHOD_HEADER

_TEXT_KINDS = {
    "exact": TextKind.EXACT,
    "prefix": TextKind.PREFIX,
    "suffix": TextKind.SUFFIX,
    "contains": TextKind.CONTAINS,
}
_STRING_FIELDS = {*_TEXT_KINDS, "safe_regex", "ignore_case"}
# The specifiers of HeaderMatcher that StringMatcher has too, by its names.
_HEADER_TEXTS = {f"{name}_match": kind for name, kind in _TEXT_KINDS.items()}
_HEADER_FIELDS = {
    *_HEADER_TEXTS,
    "name",
    "safe_regex_match",
    "range_match",
    "present_match",
    "string_match",
    "invert_match",
    "treat_missing_header_as_empty",
}


def read_conditions(match: Any) -> Iterator[Condition]:
    """The conditions of a RouteMatch besides that on the path. Raises ValueError."""
    for header in match.headers:
        yield _header_condition(header)
    for parameter in match.query_parameters:
        only(parameter, {"name", "string_match", "present_match"})
        if parameter.HasField("string_match"):
            yield QueryCondition(name=parameter.name, value=_text_condition(parameter.string_match))
        else:
            yield QueryCondition(name=parameter.name)


def _header_condition(header: Any) -> HeaderCondition:
    only(header, _HEADER_FIELDS)
    if header.name.startswith(":") and header.name != METHOD_HEADER:
        raise ValueError(
            f'HeaderMatcher.name "{header.name}" is not supported: paths and hosts have matchers of their own'
        )
    kind = header.WhichOneof("header_match_specifier")
    return HeaderCondition(
        name=header.name,
        value=None if kind in (None, "present_match") else _header_value(header, kind),
        present=kind is None or header.present_match,
        invert=header.invert_match,
        missing_is_empty=header.treat_missing_header_as_empty,
    )


def _header_value(header: Any, kind: str) -> TextCondition | RangeCondition:
    if kind == "string_match":
        return _text_condition(header.string_match)
    if kind == "range_match":
        return RangeCondition(start=header.range_match.start, end=header.range_match.end)
    if kind == "safe_regex_match":
        return _regex_condition(header.safe_regex_match)
    return TextCondition(kind=_HEADER_TEXTS[kind], value=getattr(header, kind))


def _text_condition(matcher: Any) -> TextCondition:
    only(matcher, _STRING_FIELDS)
    kind = matcher.WhichOneof("match_pattern")
    if kind is None:
        raise ValueError("a StringMatcher has no pattern")
    if kind == "safe_regex":
        return _regex_condition(matcher.safe_regex)
    return TextCondition(kind=_TEXT_KINDS[kind], value=getattr(matcher, kind), ignore_case=matcher.ignore_case)


def _regex_condition(matcher: Any) -> TextCondition:
    return TextCondition(kind=TextKind.REGEX, value=matcher.regex, regex=compile_regex(matcher.regex))
