"""How a path is compared, and how it is changed on its way.

These are Envoy's rules (config.route.v3.RouteMatch, RouteAction), on paths as they are written: nothing is decoded,
upper and lower case differ, and a query is never part of what is matched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from mesh.regex import compile_regex

_REFERENCE = re.compile(r"\\(.?)|([^\\]+)", re.DOTALL)


class MatchKind(Enum):
    """How a route compares paths; the values are for people."""

    EXACT = "is"
    PREFIX = "starts with"
    PATH_PREFIX = "is or is below"
    REGEX = "matches"
    TEMPLATE = "fits"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMatcher:
    """A condition on a path. `regex` is for REGEX and TEMPLATE: all of the path must match it."""

    kind: MatchKind
    value: str
    regex: Any = field(default=None, compare=False, repr=False)

    def matches(self, path: str) -> bool:
        """Whether `path`, which has no query, fulfils the condition."""
        if self.kind is MatchKind.EXACT:
            return path == self.value
        if self.regex is not None:
            return self.regex.fullmatch(path) is not None
        if not path.startswith(self.value):
            return False
        return self.kind is MatchKind.PREFIX or path[len(self.value) : len(self.value) + 1] in ("", "/")

    def __str__(self) -> str:
        return f'{self.kind.value} "{self.value}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixRewrite:
    """RouteAction.prefix_rewrite: what matched is replaced, so for a prefix the rest stays."""

    text: str

    def apply(self, path: str, matcher: PathMatcher) -> str:
        """The new path."""
        if matcher.kind in (MatchKind.PREFIX, MatchKind.PATH_PREFIX):
            return self.text + path[len(matcher.value) :]
        return self.text

    def __str__(self) -> str:
        return f'what matched is replaced by "{self.text}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class RegexRewrite:
    """RouteAction.regex_rewrite: every match of a pattern is replaced. In the text `\\0` to `\\9` stand for groups."""

    pattern: str
    substitution: str
    regex: Any = field(compare=False, repr=False)
    pieces: tuple[str | int, ...] = field(compare=False, repr=False)

    @staticmethod
    def of(pattern: str, substitution: str) -> RegexRewrite:
        """Raises ValueError for a pattern or substitution that cannot be used."""
        regex = compile_regex(pattern)
        pieces = tuple(map(_piece, _REFERENCE.finditer(substitution)))
        if any(isinstance(piece, int) and piece > regex.groups for piece in pieces):
            raise ValueError(f'"{substitution}" refers to a group that "{pattern}" has not')
        return RegexRewrite(pattern=pattern, substitution=substitution, regex=regex, pieces=pieces)

    def apply(self, path: str, matcher: PathMatcher) -> str:
        """The new path."""
        return str(self.regex.sub(self._replacement, path))

    def _replacement(self, match: Any) -> str:
        return "".join(match.group(piece) or "" if isinstance(piece, int) else piece for piece in self.pieces)

    def __str__(self) -> str:
        return f'"{self.pattern}" is replaced by "{self.substitution}"'


Rewrite = PrefixRewrite | RegexRewrite


def _piece(match: re.Match[str]) -> str | int:
    escaped, plain = match.groups()
    if plain is not None:
        return str(plain)
    if escaped.isdigit():
        return int(escaped)
    if escaped == "\\":
        return "\\"
    raise ValueError(f'"\\{escaped}" means nothing in a substitution')
