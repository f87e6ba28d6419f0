"""What a route wants of a request besides its path: conditions on headers, on the method, on query parameters.

These are Envoy's rules (config.route.v3.HeaderMatcher, QueryParameterMatcher): nothing is decoded; of several headers
of a name one must be as wanted; one that is not there fulfils no condition on its value, nor the opposite of one. The
texts of conditions are for people, and never show what a request said: it may be a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from rtsp_filter.routes.request import METHOD_HEADER, RouteRequest

_NUMBER = re.compile(r"\s*[-+]?[0-9]+\s*", re.ASCII)


class TextKind(Enum):
    """How texts are compared; the values are for people."""

    EXACT = "is"
    PREFIX = "begins with"
    SUFFIX = "ends with"
    CONTAINS = "contains"
    REGEX = "matches"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCondition:
    """A condition on a text. `regex` is for REGEX, which always tells upper from lower case."""

    kind: TextKind
    value: str
    ignore_case: bool = False
    regex: Any = field(default=None, compare=False, repr=False)

    def holds(self, text: str) -> bool:
        """Whether `text` is as wanted."""
        if self.kind is TextKind.REGEX:
            return self.regex.fullmatch(text) is not None
        wanted = self.value
        if self.ignore_case:
            text, wanted = text.lower(), wanted.lower()
        if self.kind is TextKind.EXACT:
            return text == wanted
        if self.kind is TextKind.PREFIX:
            return text.startswith(wanted)
        return text.endswith(wanted) if self.kind is TextKind.SUFFIX else wanted in text

    def __str__(self) -> str:
        return f'{self.kind.value} "{self.value}"' + (" in upper or lower case" if self.ignore_case else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeCondition:
    """A whole number from `start` to below `end`."""

    start: int
    end: int

    def holds(self, text: str) -> bool:
        """Whether `text` is such a number."""
        return _NUMBER.fullmatch(text) is not None and self.start <= int(text) < self.end

    def __str__(self) -> str:
        return f"is a number from {self.start} to below {self.end}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderCondition:
    """A condition on a header, or on the method by the name that Envoy has for it.

    Without `value` it is about whether the header is there (`present`). `invert` asks for the opposite.
    """

    name: str
    value: TextCondition | RangeCondition | None = None
    present: bool = True
    invert: bool = False
    missing_is_empty: bool = False

    def holds(self, request: RouteRequest) -> bool:
        """Whether the request is as wanted."""
        texts = request.header(self.name) or ([""] if self.missing_is_empty else [])
        if self.value is None:
            return (bool(texts) == self.present) != self.invert
        return bool(texts) and any(map(self.value.holds, texts)) != self.invert

    def __str__(self) -> str:
        if self.value is None:
            return f"there is {'a' if self.present != self.invert else 'no'} header {self.name}"
        what = "the method" if self.name == METHOD_HEADER else f"the header {self.name}"
        missing = " (a missing one is taken as empty)" if self.missing_is_empty else ""
        return f"{'not: ' if self.invert else ''}{what} {self.value}{missing}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryCondition:
    """A condition on the first query parameter of a name; without `value`, that there is one."""

    name: str
    value: TextCondition | None = None

    def holds(self, request: RouteRequest) -> bool:
        """Whether the request is as wanted."""
        text = request.query_parameter(self.name)
        return text is not None and (self.value is None or self.value.holds(text))

    def __str__(self) -> str:
        if self.value is None:
            return f"there is a query parameter {self.name}"
        return f"the query parameter {self.name} {self.value}"


Condition = HeaderCondition | QueryCondition
