"""The xDS client over real gRPC, to the real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.route.v3 import route_pb2

from rtsp_filter.xds import XdsClient, XdsState
from xds_server.cache import ResourceCache
from xds_server.discovery import SERVER_OPTIONS, DiscoveryService
from xds_server.resources import Resource


class Observer:
    def __init__(self) -> None:
        self.proxies: list[Any] = []
        self.gone = asyncio.Event()

    def proxy_connected(self, proxy: Any) -> None:
        self.proxies.append(proxy)

    def proxy_disconnected(self, proxy: Any) -> None:
        self.gone.set()

    def resources_acknowledged(self, proxy: Any, type_url: str, versions: Any) -> None: ...
    def resources_rejected(self, proxy: Any, type_url: str, names: Any, message: str) -> None: ...


class Latest:
    """The latest state, and a way to wait for it."""

    def __init__(self) -> None:
        self.state = XdsState()
        self._changed = asyncio.Event()

    def __call__(self, state: XdsState) -> None:
        self.state = state
        self._changed.set()

    async def until(self, condition: Callable[[XdsState], bool]) -> XdsState:
        async with asyncio.timeout(10):
            while not condition(self.state):
                self._changed.clear()
                await self._changed.wait()
        return self.state


@asynccontextmanager
async def serving(cache: ResourceCache, observer: Observer, port: int = 0) -> AsyncIterator[int]:
    service = DiscoveryService(lambda node: cache if node.id == "proxy" else None, observer)
    server = grpc.aio.server(options=SERVER_OPTIONS)
    service.add_to(server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield bound
    finally:
        service.close()
        await server.stop(None)


@asynccontextmanager
async def following(port: int, latest: Latest) -> AsyncIterator[XdsClient]:
    client = XdsClient(f"127.0.0.1:{port}", node_id="proxy", cluster="c", on_update=latest)
    task = asyncio.create_task(client.run(), name="xds-client")
    try:
        yield client
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()


def routes(*domains: str) -> Resource:
    message = route_pb2.RouteConfiguration(name="rtsp")
    message.virtual_hosts.add(name="all", domains=domains)
    return Resource.of(message)


async def test_the_client_follows_the_cache() -> None:
    cache, latest = ResourceCache(), Latest()
    cache.update(upsert=[routes("*"), Resource.of(cluster_pb2.Cluster(name="a"))])
    async with serving(cache, Observer()) as port, following(port, latest) as client:
        state = await latest.until(lambda state: state.complete)
        assert client.state is state
        assert client.connected
        assert set(state.clusters) == {"a"}
        cache.update(upsert=[routes("example.org")])
        await latest.until(lambda state: "example.org" in str(state.route_configuration))


async def test_the_state_outlives_the_server_and_the_client_comes_back() -> None:
    cache, latest = ResourceCache(), Latest()
    cache.update(upsert=[routes("*")])
    async with serving(cache, Observer()) as port:
        client_context = following(port, latest)
        client = await client_context.__aenter__()
        before = await latest.until(lambda state: state.complete)
    cache.update(upsert=[routes("example.org")])
    assert client.state is before
    seen = Observer()
    async with serving(cache, seen, port):
        await latest.until(lambda state: "example.org" in str(state.route_configuration))
        assert seen.proxies[0].had_state
        await client_context.__aexit__(None, None, None)
        async with asyncio.timeout(5):
            await seen.gone.wait()


async def test_a_refused_client_keeps_trying_and_can_be_cancelled() -> None:
    async with serving(ResourceCache(), Observer()) as port:
        client = XdsClient(f"127.0.0.1:{port}", node_id="stranger", cluster="c", on_update=Latest())
        with_timeout = asyncio.wait_for(client.run(), timeout=0.5)
        (result,) = await asyncio.gather(with_timeout, return_exceptions=True)
        assert isinstance(result, TimeoutError)
        assert not client.connected
