"""Reading xDS messages: what cannot be honoured is refused by its name, never ignored."""

from __future__ import annotations

from typing import Any


class RouteTableError(Exception):
    """A resource that cannot be honoured. `resource` names it, the message says what and why."""

    def __init__(self, resource: str, message: str) -> None:
        super().__init__(f"{resource}: {message}")
        self.resource = resource


def only(message: Any, known: set[str]) -> None:
    """Refuse, by ValueError, every field of `message` that is set and not `known`."""
    for descriptor, _ in message.ListFields():
        if descriptor.name not in known:
            raise ValueError(f"{descriptor.containing_type.name}.{descriptor.name} is not supported")
