"""Who is to blame when a client refuses a response that held several resources.

A NACK refuses a response as a whole and says why in prose. The good resources of that response must still arrive (a
client may use them yet not remember their versions), and the bad one must not be sent again. So a refused group is
split in two and the half that looks innocent is sent alone:

- it is accepted: the bad resource is in the other half, which is known without sending that half again;
- it is refused: it is split further, and the other half, of which nothing is known now, is tried later.

The prose makes the first split: names that the client quotes go to the suspect half. With one bad resource that is
quoted, its content is never sent a second time. Where nothing is quoted, halving finds it in log2(n) exchanges.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Version = str | None
"""A resource's version, or None for its removal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Names to be sent alone. When they are accepted, the bad one is among `sibling`."""

    names: tuple[str, ...]
    message: str
    sibling: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """The client refuses this content of a name, and says why."""

    version: Version
    message: str


class Suspects:
    """The groups still to be tried, and the content that each suspected name had when it was refused."""

    def __init__(self) -> None:
        self._waiting: list[Group] = []
        self._versions: dict[str, Version] = {}

    def __bool__(self) -> bool:
        return bool(self._versions)

    def holds(self, name: str, version: Version) -> bool:
        """Is this very content under suspicion? Then it goes out with its group only."""
        return name in self._versions and self._versions[name] == version

    def drop(self, name: str) -> None:
        """The name has other content, or nobody asks for it any more."""
        self._versions.pop(name, None)

    def take(self) -> Group | None:
        """The next group to send alone."""
        while self._waiting:
            group = self._waiting.pop()
            names, sibling = self._still(group.names), self._still(group.sibling)
            if (names, sibling) == (group.names, group.sibling):
                return group
            self._add(sibling, group.message)
            if names:
                return Group(names=names, message=group.message)
        return None

    def refused(
        self, sent: Mapping[str, Version], group: Group | None, message: str, gone: Iterable[str] = ()
    ) -> dict[str, Rejection]:
        """The client refused `sent`, of which it no longer wants `gone`; returns the names certainly to blame."""
        self._versions.update(sent)
        for name in gone:
            self.drop(name)
        if group is not None:
            self._add(self._still(group.sibling), group.message)
        names = self._still(sent)
        if len(names) == len(sent):
            return self._guilty(names, message)
        self._add(names, message)
        return {}

    def accepted(self, group: Group) -> dict[str, Rejection]:
        """The client accepted a group's names; returns the names that are thereby to blame."""
        for name in group.names:
            self.drop(name)
        if not group.sibling:
            return {}
        sibling = self._still(group.sibling)
        if sibling == group.sibling:
            return self._guilty(sibling, group.message)
        self._add(sibling, group.message)
        return {}

    def _guilty(self, names: tuple[str, ...], message: str) -> dict[str, Rejection]:
        if len(names) < 2:
            return {name: Rejection(version=self._versions.pop(name), message=message) for name in names}
        innocent, suspect = _split(names, message)
        self._waiting.append(Group(names=innocent, sibling=suspect, message=message))
        return {}

    def _add(self, names: tuple[str, ...], message: str) -> None:
        if names:
            self._waiting.append(Group(names=names, message=message))

    def _still(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name in self._versions)


def _split(names: tuple[str, ...], message: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    quoted = tuple(name for name in names if quotes(message, name))
    if 0 < len(quoted) < len(names):
        return tuple(name for name in names if name not in set(quoted)), quoted
    middle = len(names) // 2
    return names[:middle], names[middle:]


def quotes(message: str, name: str) -> bool:
    """Does an error message name this resource as a whole word ("rtp-1: too long" does not name "rtp")?"""
    if name not in message:
        return False
    return re.search(rf"(?<![\w/.-]){re.escape(name)}(?![\w/-]|[.:]\w)", message) is not None
