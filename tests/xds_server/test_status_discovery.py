"""Client status discovery over real gRPC, beside the discovery service whose state it tells."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc
from envoy.type.matcher.v3 import node_pb2

from xds_server import status_discovery
from xds_server.cache import ResourceCache
from xds_server.discovery import SERVER_OPTIONS, DiscoveryService
from xds_server.resource_types import CLUSTER
from xds_server.resources import Resource
from xds_server.status_discovery import StatusDiscovery
from xds_server.subscription import ConnectedProxy, Node, ResourceStatus, SyncState, XdsProtocol


@dataclass(eq=False)
class Observer:
    """Who is connected, as a control plane keeps it."""

    proxies: dict[str, ConnectedProxy] = field(default_factory=dict)

    def proxy_connected(self, proxy: ConnectedProxy) -> None:
        self.proxies[proxy.id] = proxy

    def proxy_disconnected(self, proxy: ConnectedProxy) -> None:
        del self.proxies[proxy.id]

    def resources_acknowledged(self, *told: object) -> None: ...

    def resources_rejected(self, *told: object) -> None: ...


@dataclass(kw_only=True)
class World:
    """A server, and stubs that reach it."""

    cache: ResourceCache
    target: str
    discovery: Any
    status: Any

    async def connect(self, node_id: str) -> tuple[Any, Any]:
        """A stream of a client that asks for all clusters, and the answer to it."""
        stream = self.discovery.DeltaAggregatedResources()
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=CLUSTER.type_url)
        request.node.id = node_id
        await stream.write(request)
        return stream, await stream.read()

    async def fetch(self, **fields: Any) -> dict[str, dict[str, Any]]:
        """The answer, by node and name of the resource."""
        return _by_node(await self.status.FetchClientStatus(csds_pb2.ClientStatusRequest(**fields)))


def _by_node(answer: Any) -> dict[str, dict[str, Any]]:
    return {client.node.id: {each.name: each for each in client.generic_xds_configs} for client in answer.config}


UNLIMITED = (("grpc.max_receive_message_length", -1),)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    cache, observer = ResourceCache(), Observer()
    service = DiscoveryService(lambda node: cache, observer)
    server = grpc.aio.server(options=SERVER_OPTIONS)
    service.add_to(server)
    StatusDiscovery(observer.proxies.values, lambda node: cache).add_to(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    target = f"127.0.0.1:{port}"
    async with grpc.aio.insecure_channel(target, options=UNLIMITED) as channel:
        yield World(
            cache=cache,
            target=target,
            discovery=ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel),
            status=csds_pb2_grpc.ClientStatusDiscoveryServiceStub(channel),
        )
        service.close()
    await server.stop(None)


def clusters(*names: str) -> list[Resource]:
    return [Resource.of(cluster_pb2.Cluster(name=name)) for name in names]


async def answer(stream: Any, response: Any, error: str = "") -> None:
    """An ACK or NACK; the request after it, which nobody answers, is there when the server has taken both."""
    request = discovery_pb2.DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
    if error:
        request.error_detail.message = error
    await stream.write(request)


async def until_taken(world: World, stream: Any) -> None:
    """The server has read what was written: it answers a subscription that came after it."""
    await stream.write(
        discovery_pb2.DeltaDiscoveryRequest(type_url="type.googleapis.com/test", resource_names_subscribe=["x"])
    )
    await stream.read()


async def test_what_a_client_was_sent_is_stale_until_it_answers_and_then_synced(world: World) -> None:
    world.cache.update(upsert=clusters("one"))
    stream, response = await world.connect("envoy")
    assert (await world.fetch())["envoy"]["one"].config_status == csds_pb2.STALE
    await answer(stream, response)
    await until_taken(world, stream)
    found = (await world.fetch())["envoy"]["one"]
    assert found.config_status == csds_pb2.SYNCED
    assert cluster_pb2.Cluster.FromString(found.xds_config.value) == cluster_pb2.Cluster(name="one")


async def test_what_a_client_refused_is_an_error_in_its_own_words(world: World) -> None:
    world.cache.update(upsert=clusters("one"))
    stream, response = await world.connect("envoy")
    await answer(stream, response, "no such thing")
    await until_taken(world, stream)
    found = (await world.fetch())["envoy"]["one"]
    assert (found.config_status, found.error_state.details) == (csds_pb2.ERROR, "no such thing")


async def test_node_matchers_choose_the_clients(world: World) -> None:
    for name in ("edge-1", "edge-2", "core-1"):
        await world.connect(name)
    edges = node_pb2.NodeMatcher()
    edges.node_id.prefix = "edge-"
    assert set(await world.fetch(node_matchers=[edges])) == {"edge-1", "edge-2"}
    assert set(await world.fetch()) == {"edge-1", "edge-2", "core-1"}


async def test_a_stream_answers_each_request_with_the_state_of_its_time(world: World) -> None:
    world.cache.update(upsert=clusters("one"))
    stream = world.status.StreamClientStatus()
    await stream.write(csds_pb2.ClientStatusRequest(exclude_resource_contents=True))
    assert _by_node(await stream.read()) == {}
    await world.connect("envoy")
    await stream.write(csds_pb2.ClientStatusRequest(exclude_resource_contents=True))
    (found,) = _by_node(await stream.read())["envoy"].values()
    assert (found.name, found.HasField("xds_config")) == ("one", False)
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF


async def test_a_matcher_that_cannot_be_used_is_an_invalid_argument(world: World) -> None:
    matcher = node_pb2.NodeMatcher()
    matcher.node_id.safe_regex.regex = "("
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await world.fetch(node_matchers=[matcher])
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "RE2" in (error.value.details() or "")


async def test_ten_thousand_resources_are_one_answer(world: World) -> None:
    names = [f"cluster-{number}" for number in range(10_000)]
    world.cache.update(upsert=clusters(*names))
    await world.connect("envoy")
    assert set((await world.fetch())["envoy"]) == set(names)


async def test_an_answer_that_nobody_should_be_sent_is_refused_with_a_remedy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_discovery, "MAX_ANSWER_BYTES", 1_000)
    world.cache.update(upsert=clusters(*(f"cluster-{number}" for number in range(100))))
    await world.connect("envoy")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await world.fetch()
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "node_matchers" in (error.value.details() or "")


async def refused(call: Any) -> str:
    """Why a call was refused for want of room."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return error.value.details() or ""


async def until_refused(world: World) -> str:
    """Why there is no turn, once there is none."""
    nobody = node_pb2.NodeMatcher()
    nobody.node_id.exact = "nobody"
    async with asyncio.timeout(20):
        while True:
            try:
                await world.fetch(node_matchers=[nobody])
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                return error.details() or ""


@pytest.mark.parametrize("method", ["StreamClientStatus", "FetchClientStatus"])
async def test_answers_that_nobody_reads_are_so_many_and_whoever_ends_or_reads_makes_room(
    world: World, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_discovery, "MAX_WAIT_SECONDS", 0.05)
    large = cluster_pb2.Cluster(name="large", alt_stat_name="x" * (4 << 20))
    world.cache.update(upsert=[Resource.of(large)])
    await world.connect("envoy")
    path, write = f"/{status_discovery.SERVICE}/{method}", csds_pb2.ClientStatusRequest.SerializeToString
    # Without probes the client takes no more than the 64 KiB that HTTP/2 begins with until somebody reads.
    async with grpc.aio.insecure_channel(world.target, options=(*UNLIMITED, ("grpc.http2.bdp_probe", 0))) as channel:
        call = channel.stream_stream(path, request_serializer=write)
        idle = [call() for _ in range(status_discovery.MAX_ANSWERS_AT_ONCE)]
        for each in idle:
            await each.write(csds_pb2.ClientStatusRequest())
        assert "do not read" in await until_refused(world)
        monkeypatch.setattr(status_discovery, "MAX_WAIT_SECONDS", 20.0)
        idle[0].cancel()
        assert set(await world.fetch()) == {"envoy"}
        assert len(await idle[1].read()) > 4 << 20
        assert set(await world.fetch()) == {"envoy"}


async def test_calls_are_so_many_and_one_that_ends_makes_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_discovery, "MAX_CALLS", 2)
    streams = [world.status.StreamClientStatus() for _ in range(2)]
    for stream in streams:
        await stream.write(csds_pb2.ClientStatusRequest())
        await stream.read()
    assert "2 calls" in await refused(world.fetch())
    third = world.status.StreamClientStatus()
    assert "2 calls" in await refused(third.read())
    await streams[0].done_writing()
    assert await streams[0].read() is grpc.aio.EOF
    assert await world.fetch() == {}


async def test_a_request_of_too_many_bytes_is_refused(world: World) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await world.fetch(node_matchers=[node_pb2.NodeMatcher()] * status_discovery.MAX_REQUEST_BYTES)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "64 KiB" in (error.value.details() or "")


def proxy(number: int, statuses: Callable[[], Iterable[ResourceStatus]]) -> ConnectedProxy:
    return ConnectedProxy(
        id=str(number),
        node=Node(id=f"node-{number}", cluster="c"),
        peer="peer",
        connected_at=0.0,
        protocol=XdsProtocol.DELTA,
        statuses=statuses,
        counts=dict,
        unanswered_since=lambda: None,
    )


async def turns_beside(status: StatusDiscovery, request: Any, work: Callable[[], int]) -> list[int]:
    """What had been worked each time when others had their turn, while a request was answered."""
    server = grpc.aio.server(options=SERVER_OPTIONS)
    status.add_to(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=UNLIMITED) as channel:
        stub = csds_pb2_grpc.ClientStatusDiscoveryServiceStub(channel)
        answer, seen = asyncio.ensure_future(stub.FetchClientStatus(request)), [0]
        while not answer.done():
            seen.append(work())
            await asyncio.sleep(0)
        await answer
    await server.stop(None)
    return [*seen, work()]


def most_at_once(seen: list[int]) -> int:
    return max(after - before for before, after in itertools.pairwise(seen))


async def test_others_have_their_turn_between_two_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_discovery, "_SLICE_SECONDS", 0.0)
    told = 0

    def statuses() -> Iterator[ResourceStatus]:
        nonlocal told
        for told in range(1, 501):
            yield ResourceStatus(
                type_url=CLUSTER.type_url,
                name=str(told),
                version_sent=None,
                version_acknowledged=None,
                state=SyncState.NOT_SENT,
            )

    status = StatusDiscovery(lambda: [proxy(1, statuses)], lambda node: None)
    seen = await turns_beside(status, csds_pb2.ClientStatusRequest(), lambda: told)
    assert (seen[-1], most_at_once(seen)) == (500, 1)


async def test_others_have_their_turn_between_two_nodes_that_no_matcher_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_discovery, "_SLICE_SECONDS", 0.0)
    tried = 0

    def node_test(matchers: Any) -> Callable[[Node], bool]:
        def means(node: Node) -> bool:
            nonlocal tried
            tried += 1
            return False

        return means

    monkeypatch.setattr(status_discovery, "node_test", node_test)
    status = StatusDiscovery(lambda: [proxy(number, list) for number in range(500)], lambda node: None)
    seen = await turns_beside(status, csds_pb2.ClientStatusRequest(), lambda: tried)
    assert (seen[-1], most_at_once(seen)) == (500, 1)
