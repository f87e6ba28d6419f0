"""Hashes that decide where a stream is at home: the same in every proxy, after every restart.

Envoy API: config.route.v3.RouteAction.HashPolicy. Hashes are xxHash's 64 bits, as Envoy's are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qsl

from xxhash import xxh64_intdigest

HASHES = 1 << 64
"""How many hashes there are."""


class HashSource(Enum):
    """What of a request is hashed; the values are for people."""

    HEADER = "the header"
    QUERY_PARAMETER = "the query parameter"
    CLIENT_ADDRESS = "the client's address"


@dataclass(frozen=True, slots=True, kw_only=True)
class HashPolicy:
    """One part of a hash. The header `:path` is the stream's URL path with its query, as in Envoy.

    `terminal`: if it gives a hash, later parts are not looked at.
    """

    source: HashSource
    name: str = ""
    terminal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of a request balancing may look at. `path` is the client's, with its query; `headers` have small letters."""

    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    client_address: str = ""


def hash_of(policies: Iterable[HashPolicy], asked: Asked) -> int | None:
    """The hash of a request; None where no part of it is there, so that chance decides."""
    result: int | None = None
    for policy in policies:
        value = _value(policy, asked)
        if value is None:
            continue
        old = 0 if result is None else ((result << 1) | (result >> 63)) % HASHES
        result = old ^ hash_text(value)
        if policy.terminal:
            break
    return result


def hash_text(text: str, seed: int = 0) -> int:
    """64 bits of a text."""
    return xxh64_intdigest(text.encode("utf-8", "surrogateescape"), seed)


def _value(policy: HashPolicy, asked: Asked) -> str | None:
    if policy.source is HashSource.CLIENT_ADDRESS:
        return asked.client_address or None
    if policy.source is HashSource.HEADER:
        return asked.path if policy.name == ":path" else asked.headers.get(policy.name.lower())
    query = asked.path.partition("?")[2]
    return dict(reversed(parse_qsl(query, keep_blank_values=True))).get(policy.name)
