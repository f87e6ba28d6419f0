"""Why a stream ends before its client wants it to."""

from __future__ import annotations

from enum import Enum

MAX_NAME_CHARACTERS = 4_096
"""Of a resource's name, a type URL, a node's id and cluster. Names are kept and shown; real ones have some tens."""


class Fault(Enum):
    """Whose fault it is that a stream ends, in terms of gRPC's status codes."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    UNAVAILABLE = "UNAVAILABLE"


class StreamError(Exception):
    """The client broke a rule; the stream ends with this status and sentence."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


def check_name(name: str) -> None:
    """Raises StreamError when a name is longer than any name is."""
    if len(name) > MAX_NAME_CHARACTERS:
        beginning = name[:40]
        raise StreamError(
            Fault.INVALID_ARGUMENT, f"a name of more than {MAX_NAME_CHARACTERS} characters: {beginning!r}…"
        )
