"""Hashes that decide where a stream is at home: the same in every proxy, after every restart.

Envoy API: config.route.v3.RouteAction.HashPolicy. Hashes are xxHash's 64 bits, as Envoy's are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from xxhash import xxh64_intdigest

from rtsp_filter.routes.request import RouteRequest

HASHES = 1 << 64
"""How many hashes there are."""
PATH_HEADER = ":path"
"""Envoy's name for the path with its query, where a hash of a header is meant for it."""


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


def hash_of(policies: Iterable[HashPolicy], request: RouteRequest) -> int | None:
    """The hash of a request; None where no part of it is there, so that chance decides."""
    result: int | None = None
    for policy in policies:
        value = _value(policy, request)
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


def _value(policy: HashPolicy, request: RouteRequest) -> str | None:
    if policy.source is HashSource.CLIENT_ADDRESS:
        return request.client_address or None
    if policy.source is HashSource.QUERY_PARAMETER:
        return request.query_parameter(policy.name)
    if policy.name == PATH_HEADER:
        return request.path
    return "\n".join(sorted(request.header(policy.name))) or None
