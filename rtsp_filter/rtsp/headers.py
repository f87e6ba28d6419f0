"""Headers of a message: ordered, found without regard to case, spelled and ordered as they came (RFC 2326, 4.2).

A message on its way through the mesh is asked for a dozen names, most of which it does not have; so the first question
makes an index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rtsp_filter.rtsp.errors import LocalError

_FORBIDDEN = re.compile(r"[\r\n\0]")


class Headers:
    """A list of (name, value). One name may occur more than once."""

    __slots__ = ("_first", "_items")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items: list[tuple[str, str]] = []
        self._first: dict[str, str] | None = None  # the first value under each name, in small letters
        for name, value in items:
            self.add(name, value)

    @classmethod
    def trusted(cls, items: list[tuple[str, str]]) -> Headers:
        """Headers of items known to hold no line ends, such as those a parser split at line ends."""
        headers = cls.__new__(cls)
        headers._items = items
        headers._first = None
        return headers

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value under this name."""
        return self._index().get(name.lower(), default)

    def get_all(self, name: str) -> list[str]:
        """Every value under this name, in order."""
        wanted = name.lower()
        if wanted not in self._index():
            return []
        return [value for found, value in self._items if found.lower() == wanted]

    def add(self, name: str, value: str) -> None:
        """Append. Raises LocalError for a line end in either, which would forge another header."""
        if _FORBIDDEN.search(name) or _FORBIDDEN.search(value):
            raise LocalError(f"header {name!r} would contain a line end")
        self._items.append((name, value))
        self._first = None

    def extend(self, other: Headers) -> None:
        """Append those of `other`, which hold no line ends either."""
        self._items += other._items
        self._first = None

    def set(self, name: str, value: str) -> None:
        """Replace the first of this name where it stands, with its spelling, and drop the others; or append."""
        wanted = name.lower()
        at = next((i for i, (found, _) in enumerate(self._items) if found.lower() == wanted), None)
        if at is None:
            return self.add(name, value)
        if _FORBIDDEN.search(value):
            raise LocalError(f"header {name!r} would contain a line end")
        rest = [item for item in self._items[at + 1 :] if item[0].lower() != wanted]
        self._items[at:] = [(self._items[at][0], value), *rest]
        self._first = None
        return None

    def remove(self, name: str) -> None:
        """Drop every header of this name, if any."""
        wanted = name.lower()
        self._items = [item for item in self._items if item[0].lower() != wanted]
        self._first = None

    def items(self) -> Iterator[tuple[str, str]]:
        """(name, value) in order."""
        return iter(self._items)

    def copy(self) -> Headers:
        return Headers.trusted(list(self._items))

    def _index(self) -> dict[str, str]:
        if self._first is None:
            self._first = {name.lower(): value for name, value in reversed(self._items)}
        return self._first

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._index()

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        """Same names (without regard to case) and values, in the same order."""
        if not isinstance(other, Headers):
            return NotImplemented
        return [(n.lower(), v) for n, v in self._items] == [(n.lower(), v) for n, v in other._items]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({self._items!r})"
