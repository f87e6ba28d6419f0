"""Which nodes a `NodeMatcher` means.

A matcher means a node when its pattern of the node id matches and every one of its patterns of the metadata does; what
it leaves out matches all. Of several matchers one is enough, and none means every node.

Sources: Envoy API, type.matcher.v3.NodeMatcher, StructMatcher, ValueMatcher and StringMatcher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mesh.regex import compile_regex
from xds_server.subscription import Node

MAX_PATTERNS = 100
"""Patterns of one request; each is tried on every node. A person who looks for a proxy writes one or two."""

NodeTest = Callable[[Node], bool]
_Test = Callable[[Any], bool]


class MatcherError(ValueError):
    """A matcher that cannot be used: the sentence says why."""


def node_test(matchers: Iterable[Any]) -> NodeTest:
    """What the `NodeMatcher` messages mean, together. Raises MatcherError."""
    reader = _Reader()
    tests = [reader.node(matcher) for matcher in matchers]
    return lambda node: not tests or any(test(node) for test in tests)


class _Reader:
    """Reads the matchers of one request, and counts their patterns."""

    def __init__(self) -> None:
        self._patterns = 0

    def node(self, matcher: Any) -> NodeTest:
        named = self._text(matcher.node_id) if matcher.HasField("node_id") else _anything
        described = [self._metadata(each) for each in matcher.node_metadatas]
        return lambda node: named(node.id) and all(test(node.metadata) for test in described)

    def _metadata(self, matcher: Any) -> _Test:
        keys = [segment.key for segment in matcher.path]
        if not keys or not all(keys):
            raise MatcherError("a matcher of metadata needs a path of keys, such as region or mesh then region")
        if not matcher.HasField("value"):
            raise MatcherError(f"the matcher of the metadata {_shown(keys)} does not say which value it means")
        value = self._value(matcher.value, _shown(keys))
        return lambda metadata: value(_at(metadata, keys))

    def _value(self, matcher: Any, where: str) -> _Test:
        self._count()
        match matcher.WhichOneof("match_pattern"):
            case "null_match":
                return lambda value: value is None
            case "bool_match":
                wanted = matcher.bool_match
                return lambda value: isinstance(value, bool) and value == wanted
            case "double_match":
                return self._number(matcher.double_match, where)
            case "string_match":
                text = self._text(matcher.string_match)
                return lambda value: isinstance(value, str) and text(value)
            case "present_match":
                present = matcher.present_match
                return lambda value: not isinstance(value, dict | list) and (value is not _MISSING) == present
            case "list_match":
                return self._list(matcher.list_match, where)
            case "or_match":
                tests = [self._value(each, where) for each in matcher.or_match.value_matchers]
                return lambda value: any(test(value) for test in tests)
        raise MatcherError(f"the matcher of the metadata {where} has no pattern that is known here")

    def _list(self, matcher: Any, where: str) -> _Test:
        if matcher.WhichOneof("match_pattern") is None:
            raise MatcherError(f"the matcher of the list {where} does not say which of its values it means")
        item = self._value(matcher.one_of, where)
        return lambda value: isinstance(value, list) and any(item(each) for each in value)

    def _number(self, matcher: Any, where: str) -> _Test:
        match matcher.WhichOneof("match_pattern"):
            case "exact":
                wanted = matcher.exact
                return lambda value: _is_number(value) and value == wanted
            case "range":
                start, end = matcher.range.start, matcher.range.end
                return lambda value: _is_number(value) and start <= value < end
        raise MatcherError(f"the matcher of the number {where} says neither which number nor which range")

    def _text(self, matcher: Any) -> _Test:
        self._count()
        kind = matcher.WhichOneof("match_pattern")
        if kind == "safe_regex":
            return _expression(matcher.safe_regex.regex)
        if kind not in _TEXT_TESTS:
            raise MatcherError("a matcher of text is one of exact, prefix, suffix, contains and safe_regex")
        test, wanted = _TEXT_TESTS[kind], getattr(matcher, kind)
        if matcher.ignore_case:
            folded = wanted.casefold()
            return lambda text: test(text.casefold(), folded)
        return lambda text: test(text, wanted)

    def _count(self) -> None:
        self._patterns += 1
        if self._patterns > MAX_PATTERNS:
            raise MatcherError(f"more than {MAX_PATTERNS} patterns in one request")


_TEXT_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "exact": lambda text, wanted: text == wanted,
    "prefix": lambda text, wanted: text.startswith(wanted),
    "suffix": lambda text, wanted: text.endswith(wanted),
    "contains": lambda text, wanted: wanted in text,
}
_MISSING = object()


def _anything(value: Any) -> bool:
    return True


def _expression(regex: str) -> _Test:
    try:
        expression = compile_regex(regex)
    except ValueError as error:
        raise MatcherError(f'"{regex}" is {error}') from None
    return lambda text: expression.fullmatch(text) is not None


def _at(metadata: Any, keys: list[str]) -> Any:
    """The value at a path; `_MISSING` where there is none."""
    for key in keys:
        if not isinstance(metadata, Mapping) or key not in metadata:
            return _MISSING
        metadata = metadata[key]
    return metadata


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)


def _shown(keys: list[str]) -> str:
    return " / ".join(keys)
