"""The client side of incremental xDS, pure: responses in, requests and changes out.

A response is taken whole or not at all: when a resource of it cannot be used, nothing of it is applied, the NACK names
every such resource with its reason, and the last good state stays. The server then sends the good ones alone. What was
refused counts as answered: the server has told us of it, and nothing more will come.

Source: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#incremental-xds
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.message import DecodeError

WILDCARD = "*"
MAX_ERROR_CHARACTERS = 2_000
"""Of a NACK's explanation: it travels in a status that logs and pages show."""


class ResourceRefusedError(Exception):
    """A resource cannot be used; the message is one sentence that says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceKind:
    """A type of resource: its URL, the class that reads it, and which field of it is its name."""

    type_url: str
    message: Any
    name_field: str = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a response changed: messages by name that are new or different, and names that are gone."""

    kind: ResourceKind
    changed: Mapping[str, Any]
    removed: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What follows from a response: requests to send in this order, and what changed, if anything did."""

    requests: tuple[Any, ...]
    change: Change | None = None


@dataclass(slots=True)
class _Held:
    version: str
    message: Any


@dataclass(slots=True)
class _Subscription:
    kind: ResourceKind
    names: set[str] = field(default_factory=set)
    held: dict[str, _Held] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    """Names of which the server has told us on some stream whether they exist, or the star."""
    requested: bool = False
    """Something was asked for on the present stream."""

    def covers(self, name: str) -> bool:
        return name in self.names or WILDCARD in self.names


class DeltaClient:
    """One incremental stream after another: what is subscribed to, and the last good state of it.

    node_id, cluster: who we are.
    check: called with every new message; raises ResourceRefusedError for one that cannot be used.
    """

    def __init__(
        self, *, node_id: str, cluster: str, kinds: Iterable[ResourceKind], check: Callable[[Any], None]
    ) -> None:
        self._node = (node_id, cluster)
        self._check = check
        self._subscriptions = {kind.type_url: _Subscription(kind) for kind in kinds}
        self._introduced = False

    def connect(self) -> list[Any]:
        """The first requests on a new stream, in the order of the kinds; they say what is held already."""
        self._introduced = False
        for subscription in self._subscriptions.values():
            subscription.requested = False
        requests = (self._subscribe(s, s.names, ()) for s in self._subscriptions.values())
        return [request for request in requests if request is not None]

    def messages(self, kind: ResourceKind) -> dict[str, Any]:
        """The last good state of a type, by name."""
        return {name: held.message for name, held in self._subscriptions[kind.type_url].held.items()}

    def complete(self, kind: ResourceKind) -> bool:
        """Has the server told us of everything that we subscribe to, even if only that it does not exist?"""
        subscription = self._subscriptions[kind.type_url]
        return subscription.names <= subscription.answered

    def set_names(self, kind: ResourceKind, names: Iterable[str]) -> tuple[list[Any], frozenset[str]]:
        """Subscribe to exactly these; returns the requests to send and the names of what was let go of."""
        subscription = self._subscriptions[kind.type_url]
        wanted = set(names)
        added, dropped = wanted - subscription.names, subscription.names - wanted
        subscription.names = wanted
        subscription.answered -= dropped
        gone = frozenset(name for name in subscription.held if not subscription.covers(name))
        for name in gone:
            del subscription.held[name]
        request = self._subscribe(subscription, added, dropped)
        return ([] if request is None else [request]), gone

    def receive(self, response: Any) -> Step:
        """Take a DeltaDiscoveryResponse: ACK or NACK it, and keep what is good."""
        answer = self._request(response.type_url)
        answer.response_nonce = response.nonce
        subscription = self._subscriptions.get(response.type_url)
        if subscription is None:
            return _refuse(answer, [f"{response.type_url}: not subscribed to"])
        read, reasons = self._read(subscription, response)
        if reasons:
            subscription.answered.update(reasons)
            if len(reasons) == len(response.resources):
                subscription.answered.add(WILDCARD)
            return _refuse(answer, [f"{name}: {reason}" for name, reason in reasons.items()])
        removed = [name for name in response.removed_resources if subscription.held.pop(name, None) is not None]
        subscription.held.update(read)
        subscription.answered.update(entry.name for entry in response.resources)
        subscription.answered.update(response.removed_resources)
        subscription.answered.add(WILDCARD)
        if not read and not removed:
            return Step(requests=(answer,))
        changed = {name: held.message for name, held in read.items()}
        return Step(
            requests=(answer,),
            change=Change(kind=subscription.kind, changed=changed, removed=frozenset(removed)),
        )

    def _read(self, subscription: _Subscription, response: Any) -> tuple[dict[str, _Held], dict[str, str]]:
        """What is new in a response, and why not (by name) where a resource cannot be used."""
        read: dict[str, _Held] = {}
        reasons: dict[str, str] = {}
        for entry in response.resources:
            held = subscription.held.get(entry.name)
            if not subscription.covers(entry.name) or (held is not None and held.version == entry.version):
                continue
            try:
                read[entry.name] = _Held(entry.version, self._message(subscription.kind, entry))
            except ResourceRefusedError as error:
                reasons[entry.name] = str(error)
        return read, reasons

    def _message(self, kind: ResourceKind, entry: Any) -> Any:
        if entry.resource.type_url != kind.type_url:
            raise ResourceRefusedError(f"is a {entry.resource.type_url or 'resource without content'}")
        try:
            message = kind.message.FromString(entry.resource.value)
        except DecodeError as error:
            raise ResourceRefusedError(f"cannot be read: {error}") from error
        embedded = getattr(message, kind.name_field)
        if embedded != entry.name:
            raise ResourceRefusedError(f"holds a resource named {embedded!r}")
        self._check(message)
        return message

    def _subscribe(self, subscription: _Subscription, added: Iterable[str], dropped: Iterable[str]) -> Any | None:
        """A request that names what to add and to drop, or None when there is nothing to say on this stream."""
        first = not subscription.requested
        added, dropped = sorted(subscription.names if first else added), () if first else sorted(dropped)
        if not added and not dropped:
            return None
        subscription.requested = True
        request = self._request(subscription.kind.type_url)
        request.resource_names_subscribe.extend(added)
        request.resource_names_unsubscribe.extend(dropped)
        if first:
            request.initial_resource_versions.update({n: held.version for n, held in subscription.held.items()})
        return request

    def _request(self, type_url: str) -> Any:
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=type_url)
        if not self._introduced:
            self._introduced = True
            request.node.id, request.node.cluster = self._node
            request.node.user_agent_name = "media-streaming-mesh"
        return request


def _refuse(answer: Any, reasons: list[str]) -> Step:
    answer.error_detail.code = 3  # INVALID_ARGUMENT
    answer.error_detail.message = "\n".join(reasons)[:MAX_ERROR_CHARACTERS]
    return Step(requests=(answer,))
