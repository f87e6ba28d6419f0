"""Who may play or publish, and what their passwords are checked with.

Part of the Mesh (`mesh.model`). Passwords themselves are forgotten where documents are read: kept are hashes that are
good in one realm only (HA1 of RFC 7616, 3.4.2). As text they are lines `user:realm:hash`, as of Apache's htdigest: the
hash is MD5's or SHA-256's, by its length. Nothing of a user shows in a representation or an error.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from mesh.objects import GROUP

# What routes say of their users goes by this name, as if of a filter of Envoy's.
FILTER_NAME = f"{GROUP}/users"

_LINE = re.compile(r"([^:]+):(.+):([0-9a-fA-F]+)")
_MD5_DIGITS = 32
_SHA256_DIGITS = 64


class UsersError(ValueError):
    """Users that cannot be checked; the message says why, without saying who."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user, and the hash of the password by either algorithm, in lower-case hex; one of them at least."""

    name: str = field(repr=False)
    md5: str | None = field(default=None, repr=False)
    sha256: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """The users of a realm, by name. Each has a hash by one algorithm at least that all others have too: players are
    asked before it is known who they are."""

    realm: str
    users: tuple[User, ...] = field(repr=False)

    @property
    def have_md5(self) -> bool:
        """Whether all of them can be checked by MD5."""
        return all(user.md5 is not None for user in self.users)

    @property
    def have_sha256(self) -> bool:
        """Whether all of them can be checked by SHA-256."""
        return all(user.sha256 is not None for user in self.users)


def user_of(name: str, realm: str, password: str) -> User:
    """A user with this password. Raises UsersError for what no player could say."""
    if not _is_name(name):
        raise UsersError('a user name is printable, has no colon and no blanks around it, and does not begin with "#"')
    if not password:
        raise UsersError("a password is not empty")
    text = f"{name}:{realm}:{password}".encode()
    # MD5 is what most players can answer; it proves knowledge of a password here, and signs nothing.
    md5 = hashlib.md5(text, usedforsecurity=False).hexdigest()
    return User(name=name, md5=md5, sha256=hashlib.sha256(text).hexdigest())


def read_users(text: str, realm: str) -> list[User]:
    """The users of lines `user:realm:hash`; empty lines and those that begin with "#" are none. Raises UsersError."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.startswith("#"):
            found.append(_read_line(line.strip(), number, realm))
    return found


def joined(realm: str, users: Iterable[User]) -> Users:
    """These users together; the hashes of one user may come apart. Raises UsersError where a user is there twice, or
    none is, or the hashes of all users have no algorithm in common."""
    by_name: dict[str, User] = {}
    for user in users:
        by_name[user.name] = _with(by_name.get(user.name), user)
    together = Users(realm=realm, users=tuple(by_name[name] for name in sorted(by_name)))
    if not together.users:
        raise UsersError("there is no user")
    if not (together.have_md5 or together.have_sha256):
        raise UsersError("some users have only MD5 hashes and others only SHA-256; all must have one of them")
    return together


def encode_users(users: Users) -> str:
    """The lines `user:realm:hash`, which `read_users` reads."""
    return "".join(f"{user.name}:{users.realm}:{each}\n" for user in users.users for each in _hashes(user))


def realm_of(text: str) -> str:
    """The realm of the first of such lines. Raises UsersError where there is none."""
    found = _LINE.fullmatch(text.partition("\n")[0])
    if found is None:
        raise UsersError("there is no user")
    return found[2]


def _read_line(line: str, number: int, realm: str) -> User:
    found = _LINE.fullmatch(line)
    if found is None or not _is_name(found[1]) or len(found[3]) not in (_MD5_DIGITS, _SHA256_DIGITS):
        raise UsersError(f"line {number} is not user:realm:hash, with an MD5 or SHA-256 hash in hex")
    if found[2] != realm:
        raise UsersError(f"line {number} is for another realm; a hash is good in its own only")
    hashed = found[3].lower()
    if len(hashed) == _MD5_DIGITS:
        return User(name=found[1], md5=hashed)
    return User(name=found[1], sha256=hashed)


def _is_name(name: str) -> bool:
    return bool(name) and ":" not in name and not name.startswith("#") and name.isprintable() and name == name.strip()


def _with(before: User | None, user: User) -> User:
    if before is None:
        return user
    if (before.md5 and user.md5) or (before.sha256 and user.sha256):
        raise UsersError("a user is there twice")
    return replace(before, md5=before.md5 or user.md5, sha256=before.sha256 or user.sha256)


def _hashes(user: User) -> Iterator[str]:
    return (each for each in (user.md5, user.sha256) if each is not None)
