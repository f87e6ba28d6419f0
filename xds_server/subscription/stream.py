"""One xDS stream: many resource types, one order.

Pure: requests in, responses out as bytes. What the observer is told is told at the end of each step, when the state is
consistent, so an observer may update the cache at once.

Order (make before break): what others point at (clusters, then endpoints) goes first; what points at it (listeners,
routes) waits until every such addition has been sent, and until clusters have been acknowledged: Envoy does that once
they are ready for use, and datagrams that a listener sends to one that is not are lost. Removals of what others point
at come last, once nothing that could point at it is on its way. Endpoints never wait for clusters: they are what makes
one ready, so a changed cluster's endpoints are sent right behind it even if they are unchanged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from google.protobuf import json_format

from xds_server.cache import ResourceCache
from xds_server.resource_types import ResourceType, resource_type
from xds_server.subscription.delta import DeltaSubscription
from xds_server.subscription.doubts import DoubtsByType
from xds_server.subscription.exchange import Answer, Contents, DoubtedVersions, Journal
from xds_server.subscription.faults import Fault, StreamError, check_name
from xds_server.subscription.proxy import (
    ConnectedProxy,
    Locality,
    Node,
    ResourceStatus,
    StreamObserver,
    SyncState,
    XdsProtocol,
)
from xds_server.subscription.sotw import SotwSubscription

MAX_TYPES = 32
"""Resource types on one stream; xDS has about a dozen."""
MAX_NAMES = 150_000
"""Names that one stream may subscribe to or claim to have, over all types. A media proxy needs eight for each slot: it
has two listeners, two clusters and two assignments, and names the assignments besides; all UDP ports make 16,384 slots.
A name costs some 200 bytes, so a client that has them all costs 30 MB."""

_TTL_FEATURES = {
    XdsProtocol.DELTA: frozenset({"xds.config.supports-resource-ttl"}),
    XdsProtocol.SOTW: frozenset({"xds.config.supports-resource-ttl", "xds.config.resource-in-sotw"}),
}
"""What a client must say of itself before it is sent a time to live: Envoy says neither unless told to."""

NAMES_PER_TOKEN = 100
"""Names that cost as much of a stream's request budget as a request does by itself."""
MAX_METADATA_BYTES = 64 << 10
"""Of a node: what proxies say of themselves takes some hundred bytes."""
MAX_USER_AGENT = 200
"""Characters of a program's name and version that are kept."""
MAX_OWED = 1_000
"""Names that a client waits for, of a type that it has not asked for yet. It asks within a moment, or never; beyond,
only the changed ones are sent."""

_SUBSCRIPTIONS: dict[XdsProtocol, type[DeltaSubscription] | type[SotwSubscription]] = {
    XdsProtocol.DELTA: DeltaSubscription,
    XdsProtocol.SOTW: SotwSubscription,
}
Subscribed = DeltaSubscription | SotwSubscription


def node_of(message: Any) -> Node:
    """The node as a request's first message states it. Raises StreamError when it is larger than any node is."""
    for name in (message.id, message.cluster):
        check_name(name)
    if message.metadata.ByteSize() > MAX_METADATA_BYTES:
        raise StreamError(Fault.INVALID_ARGUMENT, f"node metadata of more than {MAX_METADATA_BYTES} bytes")
    version = message.user_agent_version
    locality = message.locality
    if not version and message.HasField("user_agent_build_version"):
        number = message.user_agent_build_version.version
        version = f"{number.major_number}.{number.minor_number}.{number.patch}"
    return Node(
        id=message.id,
        cluster=message.cluster,
        user_agent=message.user_agent_name[:MAX_USER_AGENT],
        user_agent_version=version[:MAX_USER_AGENT],
        metadata=_metadata_of(message),
        locality=Locality(region=locality.region, zone=locality.zone, sub_zone=locality.sub_zone),
        client_features=frozenset(message.client_features),
    )


def _metadata_of(message: Any) -> dict[str, Any]:
    try:
        metadata: dict[str, Any] = json_format.MessageToDict(message.metadata)
    except ValueError as error:  # infinite numbers, or too many levels
        raise StreamError(Fault.INVALID_ARGUMENT, f"node metadata that JSON cannot hold: {error}") from error
    return metadata


class StreamCore:
    """One stream's state. `wake` is called when `next_responses` may have something new.

    kind: the one type of a stream of a per-type service, which its requests need not name; None on the aggregated one.
    doubts: what the same node may have of streams before without saying so, by type and name.
    Times are monotonic seconds, `connected_at` is for people.
    """

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
        kind: ResourceType | None = None,
        doubts: DoubtsByType = MappingProxyType({}),
    ) -> None:
        self.proxy = ConnectedProxy(
            id=stream_id,
            node=node,
            peer=peer,
            connected_at=connected_at,
            protocol=protocol,
            statuses=self._statuses,
            counts=self._counts,
            unanswered_since=self._unanswered_since,
        )
        self.broken = False
        """The client broke a rule: what it asked for last counts for nothing."""
        self._cache = cache
        self._observer = observer
        self._wake = wake
        self._kind = kind
        self._doubts = doubts
        self._journal = Journal(wake, stream_id, knows_ttl=_TTL_FEATURES[protocol] <= node.client_features)
        self._subscriptions: dict[str, Subscribed] = {}
        self._referenced: tuple[Subscribed, ...] = ()
        self._others: tuple[Subscribed, ...] = ()
        self._announced = False
        self._owed: dict[str, set[str]] = {}
        cache.on_release(wake)

    def receive(self, request: Any) -> float:
        """Take a DeltaDiscoveryRequest or DiscoveryRequest, as the stream's protocol has it.

        Returns what it costs of the stream's budget: nothing for a plain answer, which comes only as fast as we send;
        otherwise 1, and more with the names that it takes up, lets go or states.

        Raises StreamError when the stream must end.
        """
        self.broken = True  # unless it comes to its end
        type_url = self._type_of(request)
        stated = self._names_in(request)
        if stated > 2 * MAX_NAMES:  # each may be named, and stated with its version
            raise StreamError(Fault.RESOURCE_EXHAUSTED, f"{stated} resource names in one request")
        subscription = self._subscriptions.get(type_url) or self._begin(type_url, request)
        size, turns = subscription.size, subscription.turns
        answer = subscription.answer_of(request)
        subscription.receive(request, answer)
        if self._owed:
            for name in self._owed.pop(type_url, ()):
                subscription.repeat(name)
        if subscription.size > size and sum(each.size for each in self._subscriptions.values()) > MAX_NAMES:
            raise StreamError(Fault.RESOURCE_EXHAUSTED, f"more than {MAX_NAMES} resource names on one stream")
        if not self._announced:
            self._announced = True
            self._observer.proxy_connected(self.proxy)
        self._count(answer)
        self._tell()
        self.broken = False
        turns = subscription.turns - turns
        return 0.0 if answer is not None and not turns else 1 + max(turns, stated) / NAMES_PER_TOKEN

    @property
    def due(self) -> bool:
        """May `next_responses` have something, whatever the time?"""
        return any(each.due for each in self._subscriptions.values())

    @property
    def next_timer(self) -> float | None:
        """When `next_responses` has something at the latest."""
        times = (each.renews_at for each in self._subscriptions.values())
        return min((at for at in times if at is not None), default=None)

    def next_responses(self, now: float) -> list[bytes]:
        """Every response that may go out now, in order; each type has at most one in flight."""
        responses: list[bytes] = []
        for each in self._referenced:
            self._send(each.next_response(now, removals=False), responses)
        if not any(each.awaited for each in self._referenced):
            for each in self._others:
                self._send(each.next_response(now, removals=True), responses)
        if all(each.idle for each in self._others):
            for each in self._referenced:
                self._send(each.next_response(now, removals=True), responses)
        if self._journal.knows_ttl:  # renewals change nothing, so they wait for nothing
            for each in (*self._referenced, *self._others):
                self._send(each.renewal(now), responses)
        self._tell()
        return responses

    def doubts(self) -> DoubtsByType:
        """What the node may have without having acknowledged it, for its next stream; by type.

        That is of types that it asked for, and of those that it waits for: a stream may break before it asks for them,
        and on the next one it states what it had of them before it began to wait.
        """
        left: dict[str, Mapping[str, DoubtedVersions]] = {}
        for type_url, names in self._owed.items():
            if resource_type(type_url).repeated:
                left[type_url] = {**self._doubts.get(type_url, {}), **dict.fromkeys(sorted(names), (None,))}
        return left | {type_url: each.left_behind() for type_url, each in self._subscriptions.items()}

    def close(self) -> None:
        """The stream is gone."""
        self._cache.forget_release(self._wake)
        for subscription in self._subscriptions.values():
            subscription.close()
        if self._announced:
            self._observer.proxy_disconnected(self.proxy)

    def _type_of(self, request: Any) -> str:
        """The type that a request is about, once it is known to be one that this stream may ask."""
        type_url: str = request.type_url or (self._kind.type_url if self._kind else "")
        check_name(type_url)
        if not type_url:
            raise StreamError(Fault.INVALID_ARGUMENT, "a request on an aggregated stream needs a type_url")
        if self._kind and type_url != self._kind.type_url:
            raise StreamError(
                Fault.INVALID_ARGUMENT, f"this service has resources of type {self._kind.type_url} only, not {type_url}"
            )
        if request.node.id and request.node.id != self.proxy.node.id:
            raise StreamError(
                Fault.INVALID_ARGUMENT,
                f"node id changed from {self.proxy.node.id!r} to {request.node.id!r} within one stream",
            )
        if type_url not in self._subscriptions and len(self._subscriptions) >= MAX_TYPES:
            raise StreamError(Fault.RESOURCE_EXHAUSTED, f"more than {MAX_TYPES} resource types on one stream")
        return type_url

    def _names_in(self, request: Any) -> int:
        if self.proxy.protocol is XdsProtocol.SOTW:
            return len(request.resource_names)
        changed = len(request.resource_names_subscribe) + len(request.resource_names_unsubscribe)
        return changed + len(request.initial_resource_versions)

    def _begin(self, type_url: str, request: Any) -> Subscribed:
        """The subscription to a type that is asked for the first time; the request says what the client has of it."""
        if self.proxy.protocol is XdsProtocol.DELTA:
            self.proxy.had_state |= bool(request.initial_resource_versions)
        else:
            self.proxy.had_state |= bool(request.version_info)
        make = _SUBSCRIPTIONS[self.proxy.protocol]
        made = make(resource_type(type_url), self._cache, self._journal, self._doubts.get(type_url, {}))
        self._subscriptions[type_url] = made
        in_order = sorted(self._subscriptions.values(), key=lambda each: each.kind.push_order)
        self._referenced = tuple(each for each in in_order if each.kind.referenced)
        self._others = tuple(each for each in in_order if not each.kind.referenced)
        return made

    def _send(self, response: tuple[bytes, Contents] | None, responses: list[bytes]) -> None:
        if response is None:
            return
        payload, contents = response
        responses.append(payload)
        self.proxy.traffic.responses += 1
        self.proxy.traffic.bytes_sent += len(payload)
        for content in contents.values():
            for type_url, name in content.references if content else ():
                self._repeat(type_url, name)

    def _repeat(self, type_url: str, name: str) -> None:
        """The client now waits for this, if it is of a type that is waited for."""
        waiting = self._subscriptions.get(type_url)
        if waiting is not None:
            if waiting.kind.repeated:
                waiting.repeat(name)
        elif self._kind is None:  # on a stream of one type no other is asked for
            owed = self._owed.setdefault(type_url, set())
            if len(owed) < MAX_OWED:
                owed.add(name)

    def _count(self, answer: Answer | None) -> None:
        traffic = self.proxy.traffic
        traffic.requests += 1
        if answer is Answer.ACK:
            traffic.acks += 1
        elif answer is Answer.NACK:
            traffic.nacks += 1

    def _tell(self) -> None:
        """Tell the observer; it may update the cache, which wakes this stream again."""
        journal = self._journal
        if journal.acknowledged:
            acknowledged, journal.acknowledged = journal.acknowledged, []
            for type_url, versions in acknowledged:
                self._observer.resources_acknowledged(self.proxy, type_url, versions)
        if journal.rejected:
            rejected, journal.rejected = journal.rejected, []
            for type_url, name, message in rejected:
                self._observer.resources_rejected(self.proxy, type_url, (name,), message)

    def _counts(self) -> dict[str, Counter[SyncState]]:
        return {type_url: each.counts() for type_url, each in self._subscriptions.items()}

    def _unanswered_since(self) -> float | None:
        sent = (each.in_flight for each in self._subscriptions.values())
        return min((each.sent_at for each in sent if each is not None), default=None)

    def _statuses(self) -> Iterator[ResourceStatus]:
        for each in (*self._referenced, *self._others):
            yield from each.statuses()
