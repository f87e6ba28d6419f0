"""The values of an exchange: what a response holds, what a client has, and what it answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from xds_server.names import canonical
from xds_server.resources import Content
from xds_server.subscription.faults import check_name
from xds_server.subscription.suspects import Group

WILDCARD = "*"

Contents = dict[str, Content | None]
"""Names of a response and what they hold in it; None: removed."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a client says it has from an earlier stream."""

    version: str


Has = Content | Claimed | None
"""What a client has under a name."""


DoubtedVersions = tuple[str | None, ...]
"""Versions that a client may have of a name without saying so; None: whatever it says, it must be told."""


class Answer(Enum):
    """What a client says of a response."""

    ACK = "ack"
    NACK = "nack"


@dataclass(frozen=True, slots=True)
class InFlight:
    """A response without an answer yet. `sent_at` is in monotonic seconds; a renewal only renews a time to live.

    again: what a full state says of names in doubt besides: what the client had last accepted.
    """

    nonce: str
    contents: Contents
    sent_at: float
    again: Contents = field(default_factory=dict)
    group: Group | None = None
    renewal: bool = False


@dataclass(slots=True)
class Journal:
    """What the subscriptions of a stream share: its wake-up, its nonces, and what there is to tell the observer.

    knows_ttl: the client can handle resources with a time to live.
    """

    wake: Callable[[], None]
    nonce_prefix: str
    knows_ttl: bool = False
    acknowledged: list[tuple[str, Mapping[str, str | None]]] = field(default_factory=list)
    rejected: list[tuple[str, str, str]] = field(default_factory=list)
    _nonces: int = 0

    def nonce(self) -> str:
        """A nonce that no other stream of this process uses."""
        self._nonces += 1
        return f"{self.nonce_prefix}.{self._nonces}"


def canonical_names(names: Iterable[str]) -> list[str]:
    """The names of a request in canonical form, each once in memory however many clients ask for it.

    Raises StreamError for a name that is too long.
    """
    found = []
    for name in names:
        check_name(name)
        found.append(sys.intern(canonical(name)))
    return found


def version_of(has: Has) -> str | None:
    """The version of what a client has or should have; None where it has nothing."""
    return has.version if has is not None else None


def versions_of(contents: Contents) -> dict[str, str | None]:
    """The versions in a response, by name."""
    return {name: version_of(content) for name, content in contents.items()}
