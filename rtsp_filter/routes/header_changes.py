"""Headers that routes add to messages and take away.

Envoy's rules (config.core.v3.HeaderValueOption, config.route.v3.Route): at each level first what is removed, then what
is replaced, then what is added; conditions look at the headers before the last two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

Items = list[tuple[str, str]]
"""Headers in order: name, value."""


class Append(Enum):
    """What a header that is there already means, by Envoy's names."""

    APPEND_IF_EXISTS_OR_ADD = "APPEND_IF_EXISTS_OR_ADD"
    ADD_IF_ABSENT = "ADD_IF_ABSENT"
    OVERWRITE_IF_EXISTS_OR_ADD = "OVERWRITE_IF_EXISTS_OR_ADD"
    OVERWRITE_IF_EXISTS = "OVERWRITE_IF_EXISTS"


_OVERWRITES = (Append.OVERWRITE_IF_EXISTS_OR_ADD, Append.OVERWRITE_IF_EXISTS)
_WITHOUT_CONDITION = (Append.APPEND_IF_EXISTS_OR_ADD, Append.OVERWRITE_IF_EXISTS_OR_ADD)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedHeader:
    """A header to add, and how."""

    name: str
    value: str
    append: Append = Append.APPEND_IF_EXISTS_OR_ADD

    def applies(self, present: bool) -> bool:
        """Whether it is added where the header is `present` already, or not."""
        return self.append in _WITHOUT_CONDITION or present == (self.append is Append.OVERWRITE_IF_EXISTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderChanges:
    """What one level does to one kind of message. Names in `remove` are in lower case."""

    remove: frozenset[str] = frozenset()
    add: tuple[AddedHeader, ...] = ()

    def apply(self, items: Items) -> Items:
        """The headers after the change."""
        items = [item for item in items if item[0].lower() not in self.remove]
        names = {name.lower() for name, _ in items}
        due = [header for header in self.add if header.applies(header.name.lower() in names)]
        for header in due:
            if header.append in _OVERWRITES:
                items = _replaced(items, header)
        return items + [(header.name, header.value) for header in due if header.append not in _OVERWRITES]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageChanges:
    """What a route does to requests on their way to the server, and to answers on their way back, level by level."""

    requests: tuple[HeaderChanges, ...] = ()
    responses: tuple[HeaderChanges, ...] = ()

    def request(self, items: Iterable[tuple[str, str]]) -> Items:
        """A request's headers as the server gets them."""
        return _all(self.requests, items)

    def response(self, items: Iterable[tuple[str, str]]) -> Items:
        """An answer's headers as the player gets them."""
        return _all(self.responses, items)


NO_CHANGES = MessageChanges()


def _all(levels: Iterable[HeaderChanges], items: Iterable[tuple[str, str]]) -> Items:
    changed = list(items)
    for level in levels:
        changed = level.apply(changed)
    return changed


def _replaced(items: Items, header: AddedHeader) -> Items:
    """The header in place of all of its name: where the first of them is, or last."""
    name = header.name.lower()
    at = next((index for index, item in enumerate(items) if item[0].lower() == name), len(items))
    rest = [item for item in items[at:] if item[0].lower() != name]
    return [*items[:at], (header.name, header.value), *rest]
