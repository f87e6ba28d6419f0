"""One stream without a network: requests go in as messages, responses come out decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.service.discovery.v3 import discovery_pb2

from xds_server.cache import ResourceCache
from xds_server.resource_types import CLUSTER, ENDPOINT, LISTENER, ResourceType
from xds_server.resources import Resource
from xds_server.subscription import ConnectedProxy, Node, ResourceStatus, StreamCore, XdsProtocol


def make(kind: ResourceType, name: str, content: int = 0, *, eds: bool = False) -> Resource:
    """A resource of any of the four types; `content` tells its versions apart. `eds`: a cluster whose endpoints are."""
    if kind is CLUSTER:
        message = cluster_pb2.Cluster(name=name)
        message.connect_timeout.seconds = content
        if eds:
            message.type = cluster_pb2.Cluster.EDS
            message.eds_cluster_config.eds_config.ads.SetInParent()
    elif kind is ENDPOINT:
        message = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
        message.policy.overprovisioning_factor.value = content
    elif kind is LISTENER:
        message = listener_pb2.Listener(name=name)
        message.tcp_backlog_size.value = content
    else:
        message = route_pb2.RouteConfiguration(name=name)
        message.max_direct_response_body_size_bytes.value = content
    return Resource.of(message)


NODE = Node(id="node", cluster="cluster")


class Stream:
    """A stream core with a client's hands on it, and everything that the observer was told."""

    def __init__(
        self,
        protocol: XdsProtocol,
        cache: ResourceCache,
        stream_id: str = "s",
        node: Node = NODE,
        kind: ResourceType | None = None,
        doubts: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        self.cache = cache
        self.wakes = 0
        self.now = 0.0
        self.connected: list[ConnectedProxy] = []
        self.disconnected: list[ConnectedProxy] = []
        self.acknowledged: dict[tuple[str, str], str | None] = {}
        self.rejected: list[tuple[str, str]] = []
        self.core = StreamCore(
            stream_id=stream_id,
            cache=cache,
            observer=self,
            protocol=protocol,
            node=node,
            kind=kind,
            doubts=doubts,
            peer="peer",
            connected_at=0.0,
            wake=self._wake,
        )

    def put(self, *resources: Resource) -> None:
        self.cache.update(upsert=resources)

    def remove(self, kind: ResourceType, *names: str) -> None:
        self.cache.update(remove=[(kind.type_url, name) for name in names])

    def status(self, kind: ResourceType) -> dict[str, ResourceStatus]:
        return {s.name: s for s in self.core.proxy.statuses() if s.type_url == kind.type_url}

    def _wake(self) -> None:
        self.wakes += 1

    def proxy_connected(self, proxy: ConnectedProxy) -> None:
        self.connected.append(proxy)

    def proxy_disconnected(self, proxy: ConnectedProxy) -> None:
        self.disconnected.append(proxy)

    def resources_acknowledged(self, proxy: ConnectedProxy, type_url: str, versions: Mapping[str, str | None]) -> None:
        self.acknowledged.update({(type_url, name): version for name, version in versions.items()})

    def resources_rejected(self, proxy: ConnectedProxy, type_url: str, names: Sequence[str], message: str) -> None:
        self.rejected.extend((name, message) for name in names)


class DeltaStream(Stream):
    def __init__(self, cache: ResourceCache, stream_id: str = "s", **how: Any) -> None:
        super().__init__(XdsProtocol.DELTA, cache, stream_id, **how)

    def ask(
        self,
        kind: ResourceType,
        *names: str,
        drop: Sequence[str] = (),
        has: Mapping[str, str] | None = None,
        nonce: str = "",
        error: str | None = None,
    ) -> list[Any]:
        request = discovery_pb2.DeltaDiscoveryRequest(
            type_url=kind.type_url,
            resource_names_subscribe=names,
            resource_names_unsubscribe=drop,
            initial_resource_versions=has,
            response_nonce=nonce,
        )
        if error is not None:
            request.error_detail.message = error
        self.core.receive(request)
        return self.read()

    def read(self) -> list[Any]:
        return [discovery_pb2.DeltaDiscoveryResponse.FromString(r) for r in self.core.next_responses(self.now)]

    def ack(self, kind: ResourceType, response: Any, *names: str, drop: Sequence[str] = ()) -> list[Any]:
        return self.ask(kind, *names, drop=drop, nonce=response.nonce)

    def accept(self, kind: ResourceType, response: Any, *held: str) -> list[Any]:
        """ACK without changing the subscription to `held`."""
        return self.ack(kind, response)

    def nack(self, kind: ResourceType, response: Any, error: str = "no", *names: str) -> list[Any]:
        return self.ask(kind, *names, nonce=response.nonce, error=error)


class SotwStream(Stream):
    def __init__(self, cache: ResourceCache, stream_id: str = "s", **how: Any) -> None:
        super().__init__(XdsProtocol.SOTW, cache, stream_id, **how)

    def ask(
        self, kind: ResourceType, *names: str, version: str = "", nonce: str = "", error: str | None = None
    ) -> list[Any]:
        request = discovery_pb2.DiscoveryRequest(
            type_url=kind.type_url, resource_names=names, version_info=version, response_nonce=nonce
        )
        if error is not None:
            request.error_detail.message = error
        self.core.receive(request)
        return self.read()

    def read(self) -> list[Any]:
        return [discovery_pb2.DiscoveryResponse.FromString(r) for r in self.core.next_responses(self.now)]

    def ack(self, kind: ResourceType, response: Any, *names: str) -> list[Any]:
        return self.ask(kind, *names, version=response.version_info, nonce=response.nonce)

    def accept(self, kind: ResourceType, response: Any, *held: str) -> list[Any]:
        """ACK without changing the subscription to `held`."""
        return self.ack(kind, response, *held)

    def nack(self, kind: ResourceType, response: Any, error: str, *names: str, version: str = "") -> list[Any]:
        return self.ask(kind, *names, version=version, nonce=response.nonce, error=error)


@pytest.fixture
def cache() -> ResourceCache:
    return ResourceCache()


@pytest.fixture
def delta(cache: ResourceCache) -> DeltaStream:
    return DeltaStream(cache)


@pytest.fixture
def sotw(cache: ResourceCache) -> SotwStream:
    return SotwStream(cache)


@pytest.fixture
def delta_stream() -> type[DeltaStream]:
    return DeltaStream


@pytest.fixture
def sotw_stream() -> type[SotwStream]:
    return SotwStream


@pytest.fixture
def resource() -> Any:
    return make
