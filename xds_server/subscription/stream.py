"""One xDS stream: many resource types, one order.

Pure: requests in, responses out as bytes. What the observer is told is told at the end of each step, when the state is
consistent, so an observer may update the cache at once.

Order (make before break): what others point at (clusters, then endpoints) goes first; what points at it (listeners,
routes) waits until every such addition has been sent; removals of what others point at come last, once nothing that
could point at it is on its way. Endpoints never wait for clusters: Envoy acknowledges a cluster only after its
endpoints have arrived, so a changed cluster's endpoints are sent right behind it even if they are unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from google.protobuf import json_format

from xds_server.cache import ResourceCache
from xds_server.resources import resource_type
from xds_server.subscription.base import Contents, Journal
from xds_server.subscription.delta import DeltaSubscription
from xds_server.subscription.proxy import (
    ConnectedProxy,
    Node,
    ResourceStatus,
    StreamObserver,
    XdsProtocol,
)
from xds_server.subscription.sotw import SotwSubscription

MAX_TYPES = 32
"""Resource types on one stream; xDS has about a dozen."""
MAX_NAMES = 150_000
"""Names that one stream may subscribe to or claim to have, over all types. A media proxy needs eight for each slot: it
has two listeners, two clusters and two assignments, and names the assignments besides; all UDP ports make 16,384 slots.
A name costs some 200 bytes, so the worst client costs 30 MB."""

_SUBSCRIPTIONS = {XdsProtocol.DELTA: DeltaSubscription, XdsProtocol.SOTW: SotwSubscription}
Subscribed = DeltaSubscription | SotwSubscription


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


def node_of(message: Any) -> Node:
    """The node as a request's first message states it."""
    version = message.user_agent_version
    if not version and message.HasField("user_agent_build_version"):
        number = message.user_agent_build_version.version
        version = f"{number.major_number}.{number.minor_number}.{number.patch}"
    return Node(
        id=message.id,
        cluster=message.cluster,
        user_agent=message.user_agent_name,
        user_agent_version=version,
        metadata=json_format.MessageToDict(message.metadata),
    )


class StreamCore:
    """One stream's state. `wake` is called when `next_responses` may have something new."""

    def __init__(
        self,
        *,
        stream_id: str,
        cache: ResourceCache,
        observer: StreamObserver,
        protocol: XdsProtocol,
        node: Node,
        peer: str,
        connected_at: float,
        wake: Callable[[], None],
    ) -> None:
        self.proxy = ConnectedProxy(
            id=stream_id,
            node=node,
            peer=peer,
            connected_at=connected_at,
            protocol=protocol,
            statuses=self._statuses,
        )
        self._cache = cache
        self._observer = observer
        self._wake = wake
        self._journal = Journal(wake, stream_id)
        self._subscriptions: dict[str, Subscribed] = {}
        self._announced = False
        cache.on_release(wake)

    def receive(self, request: Any) -> None:
        """Take a DeltaDiscoveryRequest or DiscoveryRequest, as the stream's protocol has it.

        Raises StreamError when the stream must end.
        """
        self._check(request)
        subscription = self._subscription(request.type_url)
        subscription.receive(request)
        if sum(each.size for each in self._subscriptions.values()) > MAX_NAMES:
            raise StreamError(Fault.RESOURCE_EXHAUSTED, f"more than {MAX_NAMES} resource names on one stream")
        self._announce(request)
        self._tell()

    def answers(self, request: Any) -> bool:
        """Does this request answer a response in flight? Such requests come only as fast as we send."""
        subscription = self._subscriptions.get(request.type_url)
        return subscription is not None and subscription.answers(request)

    def next_responses(self) -> list[bytes]:
        """Every response that may go out now, in order; each type has at most one in flight."""
        responses = [r for each in list(self._subscriptions.values()) for r in self._next(each, removals=False)]
        if self._may_remove():
            referenced = [each for each in self._subscriptions.values() if each.kind.referenced]
            responses += [r for each in referenced for r in self._next(each, removals=True)]
        self._tell()
        return responses

    def close(self) -> None:
        """The stream is gone."""
        self._cache.forget_release(self._wake)
        for subscription in self._subscriptions.values():
            subscription.close()
        if self._announced:
            self._observer.proxy_disconnected(self.proxy)

    def _check(self, request: Any) -> None:
        if not request.type_url:
            raise StreamError(Fault.INVALID_ARGUMENT, "a request on an aggregated stream needs a type_url")
        if request.node.id and request.node.id != self.proxy.node.id:
            raise StreamError(
                Fault.INVALID_ARGUMENT,
                f"node id changed from {self.proxy.node.id!r} to {request.node.id!r} within one stream",
            )
        if request.type_url not in self._subscriptions and len(self._subscriptions) >= MAX_TYPES:
            raise StreamError(Fault.RESOURCE_EXHAUSTED, f"more than {MAX_TYPES} resource types on one stream")

    def _subscription(self, type_url: str) -> Subscribed:
        found = self._subscriptions.get(type_url)
        if found is None:
            made = _SUBSCRIPTIONS[self.proxy.protocol](resource_type(type_url), self._cache, self._journal)
            self._subscriptions[type_url] = found = made
            in_order = sorted(self._subscriptions.items(), key=lambda item: item[1].kind.push_order)
            self._subscriptions = dict(in_order)
        return found

    def _next(self, subscription: Subscribed, *, removals: bool) -> list[bytes]:
        kind = subscription.kind
        if not kind.referenced:
            if any(each.kind.referenced and each.behind for each in self._subscriptions.values()):
                return []
            removals = True
        response = subscription.next_response(removals=removals)
        if response is None:
            return []
        payload, contents = response
        self._warm(kind.warms, contents)
        return [payload]

    def _warm(self, type_url: str | None, contents: Contents) -> None:
        waiting = self._subscriptions.get(type_url or "")
        if waiting is not None:
            waiting.warm(name for resource in contents.values() if resource for name in resource.warms)

    def _may_remove(self) -> bool:
        return all(each.idle for each in self._subscriptions.values() if not each.kind.referenced)

    def _announce(self, request: Any) -> None:
        if self.proxy.protocol is XdsProtocol.DELTA:
            self.proxy.had_state = self.proxy.had_state or bool(request.initial_resource_versions)
        elif not request.response_nonce:
            self.proxy.had_state = self.proxy.had_state or bool(request.version_info)
        if not self._announced:
            self._announced = True
            self._observer.proxy_connected(self.proxy)

    def _tell(self) -> None:
        """Tell the observer; it may update the cache, which wakes this stream again."""
        journal = self._journal
        acknowledged, journal.acknowledged = journal.acknowledged, []
        rejected, journal.rejected = journal.rejected, []
        for type_url, versions in acknowledged:
            self._observer.resources_acknowledged(self.proxy, type_url, versions)
        for type_url, name, message in rejected:
            self._observer.resources_rejected(self.proxy, type_url, (name,), message)

    def _statuses(self) -> list[ResourceStatus]:
        return [status for each in self._subscriptions.values() for status in each.statuses()]
