"""A discovery service over real gRPC on the loopback interface, with two caches, and clients' hands on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2

from xds_server.cache import ResourceCache
from xds_server.discovery import SERVER_OPTIONS, DiscoveryService
from xds_server.resource_types import CLUSTER
from xds_server.resources import Resource
from xds_server.subscription import ConnectedProxy, Node


class Observer:
    def __init__(self) -> None:
        self.proxies: list[ConnectedProxy] = []
        self.connected = asyncio.Event()
        self.gone: asyncio.Queue[ConnectedProxy] = asyncio.Queue()

    def proxy_connected(self, proxy: ConnectedProxy) -> None:
        self.proxies.append(proxy)
        self.connected.set()

    def proxy_disconnected(self, proxy: ConnectedProxy) -> None:
        self.gone.put_nowait(proxy)

    def resources_acknowledged(
        self, proxy: ConnectedProxy, type_url: str, versions: Mapping[str, str | None]
    ) -> None: ...

    def resources_rejected(self, proxy: ConnectedProxy, type_url: str, names: Sequence[str], message: str) -> None: ...


@dataclass(kw_only=True)
class World:
    """A server with two caches, a stub that reaches it, and what the server was told."""

    channel: Any
    stub: Any
    service: DiscoveryService
    cache: ResourceCache
    held: ResourceCache
    observer: Observer


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    """Nodes of the cluster "known" get `cache`, those of "held" get `held`, others nothing."""
    cache, held, observer = ResourceCache(), ResourceCache(held=True), Observer()

    def scope(node: Node) -> ResourceCache | None:
        return {"known": cache, "held": held}.get(node.cluster)

    service = DiscoveryService(scope, observer)
    server = grpc.aio.server(options=SERVER_OPTIONS)
    service.add_to(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
        yield World(channel=channel, stub=stub, service=service, cache=cache, held=held, observer=observer)
    await server.stop(None)


def delta(type_url: str = CLUSTER.type_url, cluster: str = "known", node: str = "n", **fields: Any) -> Any:
    request = discovery_pb2.DeltaDiscoveryRequest(type_url=type_url, **fields)
    request.node.id, request.node.cluster = node, cluster
    return request


def cluster(name: str, content: str = "1") -> Resource:
    return Resource(CLUSTER.type_url, name, content, b"")


async def assert_ends(call: Any, code: grpc.StatusCode, sentence: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call.read()
    assert error.value.code() is code
    assert sentence in (error.value.details() or "")
