"""The aggregated discovery service over real gRPC on the loopback interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2

from xds_server import discovery
from xds_server.cache import ResourceCache
from xds_server.discovery import SERVER_OPTIONS, DiscoveryService
from xds_server.resource_types import CLUSTER, ENDPOINT
from xds_server.resources import Resource
from xds_server.subscription import ConnectedProxy, Node, limits


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

    stub: Any
    service: DiscoveryService
    cache: ResourceCache
    held: ResourceCache
    observer: Observer


@pytest.fixture
async def world() -> AsyncIterator[World]:
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
        yield World(stub=stub, service=service, cache=cache, held=held, observer=observer)
    await server.stop(None)


def delta(type_url: str = CLUSTER.type_url, cluster: str = "known", **fields: Any) -> Any:
    request = discovery_pb2.DeltaDiscoveryRequest(type_url=type_url, **fields)
    request.node.id, request.node.cluster = "n", cluster
    return request


def cluster(name: str, content: str = "1") -> Resource:
    return Resource(CLUSTER.type_url, name, content, b"")


async def test_both_protocols_are_served(world: World) -> None:
    world.cache.update(upsert=[cluster("a")])
    incremental = world.stub.DeltaAggregatedResources()
    await incremental.write(delta())
    assert [entry.name for entry in (await incremental.read()).resources] == ["a"]
    sotw = world.stub.StreamAggregatedResources()
    request = discovery_pb2.DiscoveryRequest(type_url=CLUSTER.type_url)
    request.node.cluster = "known"
    await sotw.write(request)
    assert len((await sotw.read()).resources) == 1


async def test_a_change_is_pushed_without_being_asked_for(world: World) -> None:
    call = world.stub.DeltaAggregatedResources()
    await call.write(delta(ENDPOINT.type_url, resource_names_subscribe=["a"]))
    response = await call.read()
    await call.write(delta(ENDPOINT.type_url, response_nonce=response.nonce))
    world.cache.update(upsert=[Resource(ENDPOINT.type_url, "a", "1", b"")])
    assert [entry.name for entry in (await call.read()).resources] == ["a"]


async def test_releasing_a_held_cache_answers_those_who_wait(world: World) -> None:
    call = world.stub.DeltaAggregatedResources()
    await call.write(delta(cluster="held"))
    await world.observer.connected.wait()
    world.held.update(upsert=[cluster("a")])
    world.held.release()
    assert [entry.name for entry in (await call.read()).resources] == ["a"]


async def assert_ends(call: Any, code: grpc.StatusCode, sentence: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call.read()
    assert error.value.code() is code
    assert sentence in (error.value.details() or "")


async def test_a_node_out_of_scope_is_refused_with_a_sentence(world: World) -> None:
    call = world.stub.DeltaAggregatedResources()
    await call.write(delta(cluster="stranger"))
    await assert_ends(call, grpc.StatusCode.PERMISSION_DENIED, "no configuration for node 'n'")


async def test_a_request_without_a_type_is_an_invalid_argument(world: World) -> None:
    call = world.stub.DeltaAggregatedResources()
    await call.write(delta(type_url=""))
    await assert_ends(call, grpc.StatusCode.INVALID_ARGUMENT, "type_url")
    later = world.stub.DeltaAggregatedResources()
    await later.write(delta())
    await later.read()
    await later.write(delta(type_url=""))
    await assert_ends(later, grpc.StatusCode.INVALID_ARGUMENT, "type_url")


async def test_a_request_that_is_too_large_ends_only_its_own_stream(world: World) -> None:
    call, other = world.stub.DeltaAggregatedResources(), world.stub.DeltaAggregatedResources()
    await other.write(delta())
    await other.read()
    await call.write(delta(resource_names_subscribe=["x" * (discovery.MAX_REQUEST_BYTES + 1)]))
    await assert_ends(call, grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max")
    await other.write(delta(ENDPOINT.type_url, resource_names_subscribe=["a"]))
    assert list((await other.read()).removed_resources) == ["a"]


async def test_the_observer_hears_of_a_client_that_left(world: World) -> None:
    call = world.stub.DeltaAggregatedResources()
    await call.write(delta())
    await call.read()
    call.cancel()
    async with asyncio.timeout(5):
        assert await world.observer.gone.get() is world.observer.proxies[0]


async def test_a_client_that_only_closes_its_side_is_let_go(world: World) -> None:
    call = world.stub.DeltaAggregatedResources()
    await call.write(delta())
    await call.read()
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_closing_the_service_ends_every_stream_at_once(world: World) -> None:
    calls = [world.stub.DeltaAggregatedResources() for _ in range(5)]
    for call in calls:
        await call.write(delta())
        await call.read()
    world.service.close()
    for call in calls:
        await assert_ends(call, grpc.StatusCode.UNAVAILABLE, "shutting down")
    assert world.observer.gone.qsize() == 5


async def test_a_client_that_floods_is_slowed_down_and_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUEST_BURST", 3.0)
    call = world.stub.DeltaAggregatedResources()
    for _ in range(8):
        await call.write(delta())
    await call.done_writing()
    while await call.read() is not grpc.aio.EOF:
        pass
    (proxy,) = world.observer.proxies
    assert proxy.traffic.throttled > 0


async def test_a_client_that_never_reads_costs_only_the_latest_state(world: World) -> None:
    call = world.stub.DeltaAggregatedResources()
    await call.write(delta(ENDPOINT.type_url, resource_names_subscribe=["a"]))
    for content in range(1_000):
        world.cache.update(upsert=[Resource(ENDPOINT.type_url, "a", str(content), b"x" * 1_000)])
        await asyncio.sleep(0)
    first = await call.read()
    await call.write(delta(ENDPOINT.type_url, response_nonce=first.nonce))
    latest = await call.read()
    assert [entry.version for entry in latest.resources] == ["999"]
