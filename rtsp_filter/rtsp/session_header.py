"""The Session header (RFC 2326, 12.37): an id, and after how many silent seconds the server gives the session up."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_SESSION_TIMEOUT = 60
"""Seconds that hold where a server says nothing (RFC 2326, 12.37)."""

_TIMEOUT = re.compile(r"timeout\s*=\s*\"?([0-9]{1,9})\"?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHeader:
    """`timeout` in seconds; None where it is not said, not a number, or zero."""

    id: str
    timeout: int | None = None

    @classmethod
    def parse(cls, value: str) -> SessionHeader:
        """Never fails: an id may be empty, a time-out missing."""
        session_id, *parameters = [part.strip() for part in value.split(";")]
        found = (_TIMEOUT.fullmatch(parameter) for parameter in parameters)
        timeouts = [int(match[1]) for match in found if match and int(match[1])]
        return cls(id=session_id, timeout=timeouts[0] if timeouts else None)

    def encode(self) -> str:
        return self.id if self.timeout is None else f"{self.id};timeout={self.timeout}"
