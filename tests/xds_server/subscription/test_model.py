"""Random walks of the server core against model clients.

A client subscribes, unsubscribes, answers late, refuses content, sends stale nonces and reconnects with what it
remembers, while the cache changes. Once it has answered everything it holds exactly what the cache says, and it was
never sent, without a reason, what it had already.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

import pytest
from envoy.service.discovery.v3 import discovery_pb2
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from xds_server.cache import DanglingReferences, ResourceCache
from xds_server.resource_types import CLUSTER, ENDPOINT, ResourceType
from xds_server.resources import Resource
from xds_server.subscription import Doubts, Node, StreamCore, XdsProtocol

NAMES = ["a", "b", "c", "d"]
KINDS = [CLUSTER, ENDPOINT]
BAD = "bad"
"""Clients refuse resources of this version."""

NODE = Node(id="n", cluster="c")
KEY = (NODE.cluster, NODE.id)

names = st.sampled_from(NAMES)
kinds = st.sampled_from(KINDS)
versions = st.sampled_from(["1", "2", "3", BAD])


class Client:
    """What both model clients share: a connection, and per type what was asked for and what is held.

    Like Envoy they apply the good part of a response that they refuse, and do not state it when they reconnect.
    warming: clusters that came and wait for their endpoints. A refusal of any ends the wait of all with none at all.
    """

    def __init__(self, cache: ResourceCache) -> None:
        self.cache = cache
        self.names: dict[ResourceType, set[str]] = {kind: set() for kind in KINDS}
        self.wildcard: dict[ResourceType, bool] = dict.fromkeys(KINDS, False)
        self.has: dict[ResourceType, dict[str, str]] = {kind: {} for kind in KINDS}
        self.stated: dict[ResourceType, dict[str, str]] = {kind: {} for kind in KINDS}
        self.warming: set[str] = set()
        self.doubts = Doubts()
        self.streams = 0
        self.core: StreamCore | None = None

    protocol: XdsProtocol

    def connect(self) -> None:
        if self.core is not None:
            self.doubts.ended(KEY, self.core)
            self.core.close()
        self.streams += 1
        self.woken = False
        self.inbox: deque[bytes] = deque()
        self.core = StreamCore(
            stream_id=str(self.streams),
            cache=self.cache,
            observer=self,
            protocol=self.protocol,
            node=NODE,
            doubts=self.doubts.of(KEY),
            peer="",
            connected_at=0.0,
            wake=self.wake,
        )
        self.doubts.began(KEY, self.core)

    def covers(self, kind: ResourceType, name: str) -> bool:
        return self.wildcard[kind] or name in self.names[kind]

    def warm(self, kind: ResourceType, before: dict[str, str], told: Iterable[str]) -> None:
        """What it has changed from `before` by a response that told of these names, refused or not."""
        if kind is CLUSTER:
            changed = {name for name, version in self.has[kind].items() if before.get(name) != version}
            self.warming = (self.warming | changed) & self.has[kind].keys()
        else:
            self.warming.difference_update(told)

    def lose_what_warmed(self) -> None:
        """Endpoints were refused, of whatever names."""
        for name in self.warming:
            self.has[ENDPOINT].pop(name, None)
        self.warming.clear()

    def wake(self) -> None:
        self.woken = True

    def send(self, request: Any) -> None:
        assert self.core is not None
        self.core.receive(request)
        self.woken = True
        self.pump()

    def pump(self) -> None:
        """What the shell does: ask the core for responses only when it was woken."""
        assert self.core is not None
        while self.woken:
            self.woken = False
            self.inbox.extend(self.core.next_responses(0.0))

    def proxy_connected(self, proxy: Any) -> None: ...
    def proxy_disconnected(self, proxy: Any) -> None: ...
    def resources_rejected(self, proxy: Any, type_url: str, names: Any, message: str) -> None: ...
    def resources_acknowledged(self, proxy: Any, type_url: str, versions: Any) -> None: ...


def kind_of(type_url: str) -> ResourceType:
    return next(kind for kind in KINDS if kind.type_url == type_url)


class DeltaClient(Client):
    protocol = XdsProtocol.DELTA

    def __init__(self, cache: ResourceCache) -> None:
        super().__init__(cache)
        self.reasons: dict[ResourceType, dict[str, int]] = {kind: {} for kind in KINDS}
        self.refused: dict[ResourceType, set[str]] = {kind: set() for kind in KINDS}

    def expect(self, kind: ResourceType, names: Iterable[str]) -> None:
        """These may come although they are held: once with what is under way already, and once for the reason."""
        self.reasons[kind].update(dict.fromkeys(names, 2))

    def start(self, kinds: Iterable[ResourceType] = KINDS) -> None:
        self.connect()
        for kind in kinds:
            request = discovery_pb2.DeltaDiscoveryRequest(
                type_url=kind.type_url, initial_resource_versions=self.stated[kind]
            )
            request.resource_names_subscribe.extend(sorted(self.names[kind]))
            if self.wildcard[kind]:
                request.resource_names_subscribe.append("*")
            elif kind.legacy_wildcard and not self.names[kind]:
                self.wildcard[kind] = True
            self.reasons[kind] = {}
            self.expect(kind, self.refused[kind])
            self.expect(kind, self.doubts.of(KEY).get(kind.type_url, ()))
            self.send(request)

    def subscribe(self, kind: ResourceType, name: str) -> None:
        self.expect(kind, [name])
        self.names[kind].add(name)
        self.send(discovery_pb2.DeltaDiscoveryRequest(type_url=kind.type_url, resource_names_subscribe=[name]))

    def unsubscribe(self, kind: ResourceType, name: str) -> None:
        if self.wildcard[kind] and name in self.names[kind]:
            self.expect(kind, [name])
        self.names[kind].discard(name)
        if not self.wildcard[kind]:
            self.has[kind].pop(name, None)
            self.stated[kind].pop(name, None)
        self.send(discovery_pb2.DeltaDiscoveryRequest(type_url=kind.type_url, resource_names_unsubscribe=[name]))

    def set_wildcard(self, kind: ResourceType, wildcard: bool) -> None:
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=kind.type_url)
        if wildcard:
            if self.wildcard[kind]:
                self.expect(kind, NAMES)
            request.resource_names_subscribe.append("*")
        else:
            request.resource_names_unsubscribe.append("*")
            for held in (self.has, self.stated):
                held[kind] = {n: v for n, v in held[kind].items() if n in self.names[kind]}
        self.wildcard[kind] = wildcard
        self.send(request)

    def may_keep(self, kind: ResourceType) -> bool:
        """May the client still hold what the cache no longer has?"""
        return False

    def stale(self, kind: ResourceType) -> None:
        self.send(discovery_pb2.DeltaDiscoveryRequest(type_url=kind.type_url, response_nonce="stale"))

    def deliver(self) -> None:
        response = discovery_pb2.DeltaDiscoveryResponse.FromString(self.inbox.popleft())
        kind = kind_of(response.type_url)
        received = {entry.name: entry.version for entry in response.resources}
        assert len(received) == len(response.resources)
        assert not set(received) & set(response.removed_resources)
        answer = discovery_pb2.DeltaDiscoveryRequest(type_url=kind.type_url, response_nonce=response.nonce)
        removed = list(response.removed_resources)
        before = dict(self.has[kind])
        if BAD in received.values():
            answer.error_detail.message = "refused"
            self.expect(kind, received)
            self.refused[kind].update(received)
            self.has[kind].update({n: v for n, v in received.items() if v != BAD and self.covers(kind, n)})
            for name in removed:
                self.has[kind].pop(name, None)
            if kind is ENDPOINT:
                self.lose_what_warmed()
        else:
            self.apply(kind, received, removed)
        if kind is CLUSTER:
            self.expect(ENDPOINT, received)
        self.warm(kind, before, (*received, *removed))
        self.send(answer)

    def apply(self, kind: ResourceType, received: dict[str, str], removed: list[str]) -> None:
        has = self.has[kind]
        for name, version in received.items():
            if self.covers(kind, name):
                reasons = self.reasons[kind].get(name, 0)
                assert has.get(name) != version or reasons, f"{name} again for no reason"
                self.reasons[kind][name] = max(0, reasons - 1)
                has[name] = self.stated[kind][name] = version
        for name in removed:
            has.pop(name, None)
            self.stated[kind].pop(name, None)


class SotwClient(Client):
    protocol = XdsProtocol.SOTW

    def start(self, kinds: Iterable[ResourceType] = KINDS) -> None:
        self.connect()
        self.version = getattr(self, "version", dict.fromkeys(KINDS, ""))
        self.nonce = dict.fromkeys(KINDS, "")
        self.accepted: set[ResourceType] = set()
        self.named = {kind: bool(self.names[kind]) for kind in KINDS}
        for kind in kinds:
            self.request(kind)

    def request(self, kind: ResourceType, error: str = "") -> None:
        """State everything that is wanted; without a name or a star, what that means depends on what was asked."""
        wanted = sorted(self.names[kind]) + ["*"] * self.wildcard[kind]
        if not wanted and kind.legacy_wildcard and not self.named[kind]:
            self.wildcard[kind] = True
        heard = not self.is_stale(kind)
        self.named[kind] = self.named[kind] or (bool(wanted) and heard)
        if heard:
            self.has[kind] = {n: v for n, v in self.has[kind].items() if self.covers(kind, n)}
        request = discovery_pb2.DiscoveryRequest(
            type_url=kind.type_url,
            resource_names=wanted,
            response_nonce=self.nonce[kind],
            version_info=self.version[kind],
        )
        if error:
            request.error_detail.message = error
        self.send(request)

    def is_stale(self, kind: ResourceType) -> bool:
        """Is a response on its way? Then the server ignores what is asked now, so a client keeps what it lets go of."""
        self.pump()
        responses = (discovery_pb2.DiscoveryResponse.FromString(each) for each in self.inbox)
        return any(response.type_url == kind.type_url for response in responses)

    def subscribe(self, kind: ResourceType, name: str) -> None:
        self.names[kind].add(name)
        self.request(kind)

    def unsubscribe(self, kind: ResourceType, name: str) -> None:
        self.names[kind].discard(name)
        self.request(kind)

    def set_wildcard(self, kind: ResourceType, wildcard: bool) -> None:
        if not wildcard:
            self.version[kind] = ""  # what it has from now on is not what the version stands for
        self.wildcard[kind] = wildcard
        self.request(kind)

    def may_keep(self, kind: ResourceType) -> bool:
        """Only a full state removes; and it does not arrive while all that there is to send is refused."""
        return not kind.full_state or kind not in self.accepted

    def stale(self, kind: ResourceType) -> None:
        request = discovery_pb2.DiscoveryRequest(type_url=kind.type_url, response_nonce="stale")
        self.send(request)

    def deliver(self) -> None:
        response = discovery_pb2.DiscoveryResponse.FromString(self.inbox.popleft())
        kind = kind_of(response.type_url)
        self.nonce[kind] = response.nonce
        bodies = [entry.value.decode() for entry in response.resources]
        received = dict(body.split("=") for body in bodies if "=" in body)
        told = (*received, *(body[2:] for body in bodies if "=" not in body))  # an empty one only ends a wait
        assert len(set(told)) == len(bodies)
        before = dict(self.has[kind])
        if BAD in received.values():
            good = {n: v for n, v in received.items() if v != BAD and self.covers(kind, n)}
            kept = {n: v for n, v in self.has[kind].items() if n in received or not kind.full_state}
            self.has[kind] = {**kept, **good}
            if kind is ENDPOINT:
                self.lose_what_warmed()
            self.warm(kind, before, told)
            self.request(kind, error="refused")
            return
        self.version[kind] = response.version_info if self.wildcard[kind] else ""
        self.accepted.add(kind)
        covered = {name: version for name, version in received.items() if self.covers(kind, name)}
        self.has[kind] = covered if kind.full_state else {**self.has[kind], **covered}
        self.warm(kind, before, told)
        self.request(kind)


class Walk(RuleBasedStateMachine):
    client_type: type[Any] = DeltaClient

    @initialize()
    def begin(self) -> None:
        self.cache = ResourceCache()
        self.client = self.client_type(self.cache)
        self.client.start()

    @rule(kind=kinds, changes=st.dictionaries(names, versions, min_size=1))
    def put(self, kind: ResourceType, changes: dict[str, str]) -> None:
        upsert = [make(kind, name, version) for name, version in changes.items()]
        if kind is CLUSTER:
            lacking = [name for name in changes if self.cache.get(ENDPOINT.type_url, name) is None]
            upsert += [make(ENDPOINT, name, "1") for name in lacking]
        self.cache.update(upsert=upsert)

    @rule(kind=kinds, name=names)
    def remove(self, kind: ResourceType, name: str) -> None:
        if kind is ENDPOINT and self.cache.get(CLUSTER.type_url, name) is not None:
            with pytest.raises(DanglingReferences):
                self.cache.update(remove=[(kind.type_url, name)])
        else:
            self.cache.update(remove=[(kind.type_url, name)])

    @rule(kind=kinds, name=names)
    def subscribe(self, kind: ResourceType, name: str) -> None:
        self.client.subscribe(kind, name)

    @rule(kind=kinds, name=names)
    def unsubscribe(self, kind: ResourceType, name: str) -> None:
        self.client.unsubscribe(kind, name)

    @rule(kind=kinds, wildcard=st.booleans())
    def set_wildcard(self, kind: ResourceType, wildcard: bool) -> None:
        self.client.set_wildcard(kind, wildcard)

    @rule(kind=kinds)
    def send_a_stale_nonce(self, kind: ResourceType) -> None:
        self.client.stale(kind)

    @rule()
    def answer_one(self) -> None:
        self.client.pump()
        if self.client.inbox:
            self.client.deliver()

    @rule()
    def reconnect(self) -> None:
        self.client.start()

    @rule(changes=st.dictionaries(names, versions, min_size=1))
    def reconnect_twice(self, changes: dict[str, str]) -> None:
        """Clusters change; the first new stream breaks when the client has asked for those only, and has them."""
        self.put(CLUSTER, changes)
        self.client.start([CLUSTER])
        self.answer_one()
        self.client.start()

    @rule()
    def settle(self) -> None:
        self.client.pump()
        for _ in range(200):
            if not self.client.inbox:
                break
            self.client.deliver()
        assert not self.client.inbox, "the exchange does not come to an end"
        self.assert_nothing_warms()
        for kind in KINDS:
            for name in NAMES:
                self.assert_right(kind, name)

    def assert_nothing_warms(self) -> None:
        """A cluster waits for endpoints that its client asks for."""
        client = self.client
        assert not [name for name in client.warming if client.covers(ENDPOINT, name) and client.covers(CLUSTER, name)]

    def assert_right(self, kind: ResourceType, name: str) -> None:
        wanted = self.cache.get(kind.type_url, name)
        has = self.client.has[kind].get(name)
        if not self.client.covers(kind, name):
            assert has is None
        elif wanted is None:
            assert has is None or self.client.may_keep(kind)
        elif wanted.version != BAD:
            assert has == wanted.version
        else:
            assert has != BAD

    @invariant()
    def at_most_one_response_per_type_waits(self) -> None:
        if hasattr(self, "client"):
            assert len(self.client.inbox) <= len(KINDS)

    @invariant()
    def the_counts_are_those_of_the_statuses(self) -> None:
        if hasattr(self, "client") and self.client.core is not None:
            proxy = self.client.core.proxy
            listed = Counter((status.type_url, status.state) for status in proxy.statuses())
            counted = {
                (type_url, state): number
                for type_url, of_type in proxy.counts().items()
                for state, number in of_type.items()
            }
            assert counted == listed

    def teardown(self) -> None:
        if hasattr(self, "client"):
            self.settle()


def make(kind: ResourceType, name: str, version: str) -> Resource:
    references = ((ENDPOINT.type_url, name),) if kind is CLUSTER else ()
    return Resource(kind.type_url, name, version, f"{name}={version}".encode(), references=references)


class SotwWalk(Walk):
    client_type = SotwClient


TestIncrementalWalk = Walk.TestCase
TestStateOfTheWorldWalk = SotwWalk.TestCase
TestIncrementalWalk.settings = TestStateOfTheWorldWalk.settings = settings(
    max_examples=300, stateful_step_count=40, deadline=None
)
