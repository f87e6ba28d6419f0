"""What a server is told that asks for a password."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A user name and a password. `name` is what endpoints refer to them by; the password never shows in a
    representation."""

    name: str
    username: str
    password: str = field(repr=False)
