"""Resources: what a proxy is given under a name, with its version and its encoding.

A `Resource` is serialized once: its bytes as they stand in a response are kept, its version is the hash of its
content. Equal content therefore has equal versions on every server, and a push joins bytes. Versions are shown to
whoever looks, so those of secrets are hashes with a key that only this process has: nobody can try passwords against
them.

A `Failure` stands in a resource's place where there is none to give, and says why.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from xds_server.names import canonical
from xds_server.references import SECRETS, TYPE_URL_PREFIX, Reference
from xds_server.resource_types import resource_type
from xds_server.wire import bytes_field, length_prefix, text_field, varint_field

_VERSION_BYTES = 8
"""64 bits of hash: two contents of one name share a version once in 10^19 changes."""
_FINGERPRINT_BYTES = 16
_NANOSECONDS = 1_000_000_000
_SECRETS_KEY = secrets.token_bytes(32)
_WRAPPED = TYPE_URL_PREFIX + "envoy.service.discovery.v3.Resource"


class FailureCode(Enum):
    """Why there is no resource, by gRPC status code (its number is the value).

    Clients take the first group for news of the data, and let go of the resource; the second for a passing trouble of
    the server, and keep what they have (gRFC A88).
    """

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    FAILED_PRECONDITION = 9

    UNKNOWN = 2
    INTERNAL = 13
    UNAVAILABLE = 14

    @property
    def transient(self) -> bool:
        """Is it expected to pass by itself?"""
        return self in (FailureCode.UNKNOWN, FailureCode.INTERNAL, FailureCode.UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Resource:
    """One named resource, with its encoding.

    version: identifies the content; `of` hashes it.
    body: the serialized message.
    references: what a receiver of this resource waits for.
    aliases: other names by which proxies may ask for it.
    ttl: seconds after which a proxy drops it unless it is renewed (by itself, while the stream is there); None: never.
    """

    type_url: str
    name: str
    version: str
    body: bytes = field(repr=False)
    references: tuple[Reference, ...] = ()
    aliases: tuple[str, ...] = ()
    ttl: float | None = None
    _head: bytes = field(init=False, repr=False, compare=False)
    _any_start: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Encode what stands before `body` in a response.

        The `resources` field of a DiscoveryResponse (number 2, an Any) and the `resource` field of a discovery Resource
        (number 2, an Any) look the same, so one encoding, read from two places, serves both protocols.
        """
        inside = text_field(1, self.type_url) + length_prefix(2, len(self.body))
        any_head = length_prefix(2, len(inside) + len(self.body)) + inside
        labels = self._labels()
        head = length_prefix(2, len(labels) + len(any_head) + len(self.body)) + labels
        object.__setattr__(self, "_head", head + any_head)
        object.__setattr__(self, "_any_start", len(head))

    @classmethod
    def of(
        cls,
        message: Any,
        *,
        name: str | None = None,
        version: str | None = None,
        aliases: tuple[str, ...] = (),
        ttl: float | None = None,
    ) -> Resource:
        """The resource that a message of `xds-protos` is.

        It is named by its own name field, unless its type has none, and versioned by its content, unless the caller
        gives a version (then equal versions mean equal content). Raises ValueError for a message without a name.
        """
        kind = resource_type(TYPE_URL_PREFIX + message.DESCRIPTOR.full_name)
        if not (name if name is not None else getattr(message, kind.name_field)):
            raise ValueError(f"a {message.DESCRIPTOR.full_name} without a name is no resource")
        body = message.SerializeToString(deterministic=True)
        named = canonical(name if name is not None else getattr(message, kind.name_field))
        key = _SECRETS_KEY if kind.type_url == SECRETS else b""
        versioned = version if version is not None else _hash_of(body, aliases, ttl, key=key)
        return cls(kind.type_url, named, versioned, body, kind.references(message), aliases, ttl)

    @property
    def fingerprint(self) -> int:
        """A hash of type, name and version. The sum over a set of resources identifies the set."""
        key = "\0".join((self.type_url, self.name, self.version)).encode()
        return int.from_bytes(hashlib.blake2b(key, digest_size=_FINGERPRINT_BYTES).digest())

    def delta_parts(self) -> tuple[bytes, ...]:
        """Joined: one entry of `DeltaDiscoveryResponse.resources`, field header included."""
        return self._head, self.body

    def sotw_parts(self) -> tuple[bytes, ...]:
        """Joined: one entry of `DiscoveryResponse.resources`, field header included."""
        return self._head[self._any_start :], self.body

    def delta_parts_with_ttl(self, *, renewal: bool) -> tuple[bytes, ...]:
        """As `delta_parts`, for clients that know of time to live; a renewal has no body."""
        body = b"" if renewal else bytes_field(2, text_field(1, self.type_url) + bytes_field(2, self.body))
        return (bytes_field(2, self._labels() + body + self._ttl_field()),)

    def sotw_parts_with_ttl(self) -> tuple[bytes, ...]:
        """As `sotw_parts`, for clients that know of time to live: wrapped in a discovery Resource that has it."""
        (wrapped,) = self.delta_parts_with_ttl(renewal=False)
        return (bytes_field(2, text_field(1, _WRAPPED) + wrapped),)

    @property
    def wire_size(self) -> int:
        """Bytes that this resource takes in an incremental response."""
        return len(self._head) + len(self.body)

    def _labels(self) -> bytes:
        labels = text_field(1, self.version) + text_field(3, self.name)
        return labels + b"".join(text_field(4, alias) for alias in self.aliases)

    def _ttl_field(self) -> bytes:
        seconds, nanos = divmod(round((self.ttl or 0) * _NANOSECONDS), _NANOSECONDS)
        return bytes_field(6, varint_field(1, seconds) + varint_field(2, nanos))


@dataclass(frozen=True, slots=True)
class Failure:
    """What stands under a name of which there is no resource to give. Sent as a `ResourceError`."""

    type_url: str
    name: str
    code: FailureCode
    message: str

    body: bytes = field(default=b"", init=False)
    references: tuple[Reference, ...] = field(default=(), init=False)
    aliases: tuple[str, ...] = field(default=(), init=False)
    ttl: float | None = field(default=None, init=False)

    @property
    def version(self) -> str:
        """Identifies the failure, as a resource's version does its content."""
        return f"failed-{_hash_of(f'{self.code.value} {self.message}'.encode())}"

    @property
    def fingerprint(self) -> int:
        """A failure is not a part of what a client has."""
        return 0

    @property
    def wire_size(self) -> int:
        """Bytes that the failure takes in an incremental response."""
        return sum(map(len, self.delta_parts()))

    def delta_parts(self) -> tuple[bytes, ...]:
        """An entry of `resource_errors`. A lasting one is told as a removal too, for clients that know no other."""
        error = bytes_field(9, self._error())
        return (error,) if self.code.transient else (error, text_field(6, self.name))

    def sotw_parts(self) -> tuple[bytes, ...]:
        """An entry of `DiscoveryResponse.resource_errors`."""
        return (bytes_field(7, self._error()),)

    def _error(self) -> bytes:
        status = varint_field(1, self.code.value) + text_field(2, self.message)
        return bytes_field(1, text_field(1, self.name)) + bytes_field(2, status)


Content = Resource | Failure
"""What stands under a name."""


def _hash_of(body: bytes, aliases: tuple[str, ...] = (), ttl: float | None = None, *, key: bytes = b"") -> str:
    digest = hashlib.blake2b(body, digest_size=_VERSION_BYTES, key=key)
    if aliases or ttl is not None:
        digest.update(repr((aliases, ttl)).encode())
    return digest.hexdigest()
