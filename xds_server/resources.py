"""Resources and the table of what is known of each resource type.

A `Resource` is serialized once: its bytes as they stand in a response are kept, its version is the hash of its
content. Equal content therefore has equal versions on every server, and a push joins bytes.

Everything that the protocol says of one particular type is a column of `ResourceType`; the subscription code knows no
type by name. A type that has no row is served by name alone, after all others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from xds_server.wire import length_prefix, text_field

_TYPE_URL = "type.googleapis.com/"
_VERSION_BYTES = 8
"""64 bits of hash: two contents of one name share a version once in 10^19 changes."""
_FINGERPRINT_BYTES = 16


def _nothing(message: Any) -> tuple[str, ...]:
    return ()


def _assignments_of(cluster: Any) -> tuple[str, ...]:
    if cluster.type != cluster.EDS:
        return ()
    return (cluster.eds_cluster_config.service_name or cluster.name,)


def _routes_of(listener: Any) -> tuple[str, ...]:
    names = []
    for chain in listener.filter_chains:
        for network_filter in chain.filters:
            manager = hcm.HttpConnectionManager()
            if network_filter.typed_config.Unpack(manager) and manager.HasField("rds"):
                names.append(manager.rds.route_config_name)
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType:
    """One row: how resources of a type are named, ordered and sent.

    type_url: with its `type.googleapis.com/`.
    short_name: for people and metrics.
    push_order: lower goes first on a stream that carries several types (make before break).
    full_state: a state-of-the-world response carries every resource, so leaving one out removes it.
    legacy_wildcard: a client that never named a resource of this type means all of them.
    referenced: others point at these, so they arrive before the others and leave after them.
    name_field: the message's field that is the resource's name.
    warms: type URL of what a receiver waits for before it uses a resource of this type, and `warmed_by` its names.
    """

    type_url: str
    short_name: str
    push_order: int
    full_state: bool = False
    legacy_wildcard: bool = False
    referenced: bool = False
    name_field: str = "name"
    warms: str | None = None
    warmed_by: Callable[[Any], tuple[str, ...]] = _nothing


ENDPOINT = ResourceType(
    type_url=_TYPE_URL + "envoy.config.endpoint.v3.ClusterLoadAssignment",
    short_name="eds",
    push_order=1,
    referenced=True,
    name_field="cluster_name",
)
CLUSTER = ResourceType(
    type_url=_TYPE_URL + "envoy.config.cluster.v3.Cluster",
    short_name="cds",
    push_order=0,
    full_state=True,
    legacy_wildcard=True,
    referenced=True,
    warms=ENDPOINT.type_url,
    warmed_by=_assignments_of,
)
ROUTE = ResourceType(type_url=_TYPE_URL + "envoy.config.route.v3.RouteConfiguration", short_name="rds", push_order=3)
LISTENER = ResourceType(
    type_url=_TYPE_URL + "envoy.config.listener.v3.Listener",
    short_name="lds",
    push_order=2,
    full_state=True,
    legacy_wildcard=True,
    warms=ROUTE.type_url,
    warmed_by=_routes_of,
)

RESOURCE_TYPES = {kind.type_url: kind for kind in (CLUSTER, ENDPOINT, LISTENER, ROUTE)}
_LAST = max(kind.push_order for kind in RESOURCE_TYPES.values()) + 1


def resource_type(type_url: str) -> ResourceType:
    """The row of a type; one that the table lacks is served by name only, after the others."""
    known = RESOURCE_TYPES.get(type_url)
    return known or ResourceType(type_url=type_url, short_name=type_url.rpartition(".")[2], push_order=_LAST)


@dataclass(frozen=True, slots=True)
class Resource:
    """One named resource, with its encoding.

    version: identifies the content; `of` hashes it.
    body: the serialized message.
    warms: names that a receiver of this resource waits for (`ResourceType.warms` says of which type).
    """

    type_url: str
    name: str
    version: str
    body: bytes
    warms: tuple[str, ...] = ()
    fingerprint: int = field(init=False, repr=False, compare=False)
    """A hash of type, name and version. The sum over a set of resources identifies the set."""
    _head: bytes = field(init=False, repr=False, compare=False)
    _any_start: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Encode what stands before `body` in a response.

        The `resources` field of a DiscoveryResponse (number 2, an Any) and the `resource` field of a discovery Resource
        (number 2, an Any) look the same, so one encoding, read from two places, serves both protocols.
        """
        inside = text_field(1, self.type_url) + length_prefix(2, len(self.body))
        any_head = length_prefix(2, len(inside) + len(self.body)) + inside
        labels = text_field(1, self.version) + text_field(3, self.name)
        head = length_prefix(2, len(labels) + len(any_head) + len(self.body)) + labels
        object.__setattr__(self, "_head", head + any_head)
        object.__setattr__(self, "_any_start", len(head))
        key = "\0".join((self.type_url, self.name, self.version)).encode()
        digest = hashlib.blake2b(key, digest_size=_FINGERPRINT_BYTES).digest()
        object.__setattr__(self, "fingerprint", int.from_bytes(digest))

    @classmethod
    def of(cls, message: Any) -> Resource:
        """The resource that a message of `xds-protos` is: named by its own name field, versioned by its content."""
        kind = resource_type(_TYPE_URL + message.DESCRIPTOR.full_name)
        body = message.SerializeToString(deterministic=True)
        version = hashlib.blake2b(body, digest_size=_VERSION_BYTES).hexdigest()
        return cls(kind.type_url, getattr(message, kind.name_field), version, body, kind.warmed_by(message))

    def delta_parts(self) -> tuple[bytes, bytes]:
        """Joined: one entry of `DeltaDiscoveryResponse.resources`, field header included."""
        return self._head, self.body

    def sotw_parts(self) -> tuple[bytes, bytes]:
        """Joined: one entry of `DiscoveryResponse.resources`, field header included."""
        return self._head[self._any_start :], self.body

    @property
    def wire_size(self) -> int:
        """Bytes that this resource takes in an incremental response."""
        return len(self._head) + len(self.body)
