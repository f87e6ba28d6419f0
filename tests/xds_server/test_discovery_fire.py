"""Clients that misbehave, over real gRPC: each costs little, is counted, and disturbs nobody."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any

import grpc
import pytest
from envoy.service.discovery.v3 import discovery_pb2

from tests.xds_server.worlds import World, assert_ends, cluster, delta
from xds_server import discovery
from xds_server.resource_types import CLUSTER, ENDPOINT, ROUTE, ResourceType
from xds_server.resources import Resource
from xds_server.subscription import Fault, SyncState, XdsProtocol, limits
from xds_server.subscription.stream import MAX_NAMES

PATIENCE = 20.0
"""Seconds for what takes a fraction of one: this much is never a matter of load."""


def endpoint(name: str, content: int, body: bytes = b"") -> Resource:
    return Resource(ENDPOINT.type_url, name, str(content), body)


class Browser:
    """A well-behaved client that asks for one name, and sees every version of it."""

    def __init__(self, world: World, node: str = "browser", name: str = "browsed") -> None:
        self.world, self.node, self.name = world, node, name
        self.version = 0
        self.call = world.stub.DeltaAggregatedResources()

    async def begin(self) -> None:
        await self._say(resource_names_subscribe=[self.name])
        assert list((await self._heard()).removed_resources) == [self.name]

    async def exchange(self) -> None:
        """A change reaches it, and it answers."""
        self.version += 1
        self.world.cache.update(upsert=[endpoint(self.name, self.version)])
        assert [entry.version for entry in (await self._heard()).resources] == [str(self.version)]

    async def _heard(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            response = await self.call.read()
            await self._say(response_nonce=response.nonce)
        return response

    async def _say(self, **fields: Any) -> None:
        await self.call.write(delta(ENDPOINT.type_url, node=self.node, **fields))


async def browser_of(world: World) -> Browser:
    browser = Browser(world)
    await browser.begin()
    return browser


async def test_a_client_that_never_reads_costs_only_the_latest_state(world: World) -> None:
    silent = world.stub.DeltaAggregatedResources()
    await silent.write(delta(ENDPOINT.type_url, resource_names_subscribe=["never read"]))
    browser = await browser_of(world)
    for content in range(200):
        world.cache.update(upsert=[endpoint("never read", content, bytes(1 << 20))])
        await browser.exchange()
    silent_proxy, browsing = world.observer.proxies
    assert silent_proxy.traffic.responses == 1
    assert silent_proxy.unanswered_since() is not None
    assert browsing.traffic.responses == 201
    held = [each for each in gc.get_objects() if isinstance(each, Resource) and each.name == "never read"]
    assert len(held) <= 2
    first = await silent.read()
    await silent.write(delta(ENDPOINT.type_url, response_nonce=first.nonce))
    assert [entry.version for entry in (await silent.read()).resources] == ["199"]


async def test_a_client_that_never_reads_what_does_not_fit_into_its_window_delays_nobody(world: World) -> None:
    names = [str(number) for number in range(16)]
    world.cache.update(upsert=[endpoint(name, 0, bytes(1 << 20)) for name in names])
    silent = world.stub.DeltaAggregatedResources()
    await silent.write(delta(ENDPOINT.type_url, resource_names_subscribe=names))
    browser = await browser_of(world)
    for _ in range(50):
        await browser.exchange()
    (proxy, _) = world.observer.proxies
    assert proxy.traffic.responses == 1
    assert proxy.counts()[ENDPOINT.type_url][SyncState.NOT_SENT] == 14
    silent.cancel()
    async with asyncio.timeout(PATIENCE):
        assert await world.observer.gone.get() is proxy


async def test_a_client_that_floods_is_slowed_down_and_counted(world: World) -> None:
    browser = await browser_of(world)
    call = world.stub.DeltaAggregatedResources()

    async def flood() -> None:
        while True:
            await call.write(delta(resource_names_subscribe=["a"], resource_names_unsubscribe=["b"]))

    started = time.monotonic()
    flooding = asyncio.create_task(flood())
    exchanges = 0
    async with asyncio.timeout(PATIENCE):
        while exchanges < 100 or world.observer.proxies[-1].traffic.throttled < 3:
            await browser.exchange()
            exchanges += 1
    taken = time.monotonic() - started
    assert not flooding.done()
    flooding.cancel()
    traffic = world.observer.proxies[-1].traffic
    assert traffic.requests <= limits.REQUEST_BURST + limits.REQUESTS_PER_SECOND * taken + 2
    assert traffic.responses <= traffic.acks + 1
    assert browser.version == exchanges


async def test_a_client_that_changes_its_node_id_is_ended_and_counted(world: World) -> None:
    browser = await browser_of(world)
    call = world.stub.DeltaAggregatedResources()
    await call.write(delta())
    await call.read()
    await call.write(delta(node="somebody else"))
    await assert_ends(call, grpc.StatusCode.INVALID_ARGUMENT, "node id changed from 'n' to 'somebody else'")
    assert world.service.refused == {Fault.INVALID_ARGUMENT: 1}
    await browser.exchange()


async def test_a_node_that_opens_streams_in_a_loop_is_refused_after_a_while_and_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OPEN_BURST", 20.0)
    monkeypatch.setattr(discovery, "REFUSAL_SECONDS", 0.0)
    browser = await browser_of(world)
    for _ in range(int(limits.OPEN_BURST)):
        call = world.stub.DeltaAggregatedResources()
        await call.write(delta())
        await call.read()
        call.cancel()
    for _ in range(10):
        call = world.stub.DeltaAggregatedResources()
        await call.write(delta())
        await assert_ends(call, grpc.StatusCode.RESOURCE_EXHAUSTED, "opens streams too often")
    assert world.service.refused == {Fault.RESOURCE_EXHAUSTED: 10}
    await browser.exchange()
    await Browser(world, node="newcomer", name="other").begin()


async def test_a_client_may_ask_for_ten_thousand_names_and_hears_of_each_change_alone(world: World) -> None:
    names = [f"cluster-{number}" for number in range(10_000)]
    world.cache.update(upsert=[endpoint(name, 1) for name in names])
    call = world.stub.DeltaAggregatedResources()
    await call.write(delta(ENDPOINT.type_url, resource_names_subscribe=names))
    response = await call.read()
    assert [entry.name for entry in response.resources] == names
    await call.write(delta(ENDPOINT.type_url, response_nonce=response.nonce))
    world.cache.update(upsert=[endpoint(names[7], 2)])
    assert [entry.name for entry in (await call.read()).resources] == [names[7]]


async def test_a_client_that_asks_for_more_names_than_a_stream_may_is_refused(world: World) -> None:
    browser = await browser_of(world)
    call = world.stub.DeltaAggregatedResources()
    await call.write(delta(ENDPOINT.type_url, resource_names_subscribe=map(str, range(MAX_NAMES + 1))))
    await assert_ends(call, grpc.StatusCode.RESOURCE_EXHAUSTED, f"more than {MAX_NAMES} resource names")
    assert world.service.refused == {Fault.RESOURCE_EXHAUSTED: 1}
    await browser.exchange()


class Judge:
    """A client that accepts or refuses every response of one type. It asks for routes to learn that no more come."""

    def __init__(self, world: World, protocol: XdsProtocol, kind: ResourceType, names: list[str]) -> None:
        self.world, self.protocol, self.kind, self.names = world, protocol, kind, names
        stub = world.stub
        self.call = (stub.DeltaAggregatedResources if self._delta else stub.StreamAggregatedResources)()
        self.routes = 0
        self.nonce = ""

    @property
    def _delta(self) -> bool:
        return self.protocol is XdsProtocol.DELTA

    async def begin(self) -> None:
        await self._say(self.kind, self.names)

    async def judge(self, error: str) -> int:
        """Answer until no more responses come; how many did."""
        heard = 0
        while more := await self._judge_until_a_route_comes(error):
            heard += more
        return heard

    async def _judge_until_a_route_comes(self, error: str) -> int:
        self.routes += 1
        route = str(self.routes)
        self.world.cache.update(upsert=[Resource(ROUTE.type_url, route, "1", b"")])
        await self._say(ROUTE, [route], nonce=self.nonce)
        heard = 0
        while (response := await self._read()).type_url == self.kind.type_url:
            heard += 1
            assert heard < 100, "the exchange does not come to an end"
            await self._say(self.kind, [] if self._delta else self.names, nonce=response.nonce, error=error)
        self.nonce = response.nonce
        return heard

    async def _say(self, kind: ResourceType, names: list[str], *, nonce: str = "", error: str = "") -> None:
        if self._delta:
            request = delta(kind.type_url, response_nonce=nonce, resource_names_subscribe=names)
        else:
            request = discovery_pb2.DiscoveryRequest(type_url=kind.type_url, response_nonce=nonce, resource_names=names)
            request.node.id, request.node.cluster = "n", "known"
        if error:
            request.error_detail.message = error
        await self.call.write(request)

    async def _read(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            return await self.call.read()


@pytest.mark.parametrize("protocol", XdsProtocol)
async def test_a_client_that_refuses_everything_hears_of_each_content_a_few_times_only(
    world: World, protocol: XdsProtocol
) -> None:
    world.cache.update(upsert=[cluster(str(number)) for number in range(8)])
    client = Judge(world, protocol, CLUSTER, [])
    await client.begin()
    assert 0 < await client.judge("no") < 2 * 8
    world.cache.update(upsert=[cluster("0", "2")])
    assert await client.judge("no") == 1
    world.cache.update(upsert=[cluster("0", "3")])
    world.cache.update(upsert=[cluster("0", "2")])
    assert await client.judge("no") <= 1
    assert world.observer.proxies[0].counts()[CLUSTER.type_url] == {SyncState.REJECTED: 8}


@pytest.mark.parametrize("protocol", XdsProtocol)
async def test_a_client_that_refuses_even_what_it_had_is_left_in_peace(world: World, protocol: XdsProtocol) -> None:
    names = [str(number) for number in range(8)]
    world.cache.update(upsert=[endpoint(name, 1) for name in names])
    client = Judge(world, protocol, ENDPOINT, names)
    await client.begin()
    assert await client.judge("") == 1
    world.cache.update(upsert=[endpoint(name, 2) for name in names])
    assert 0 < await client.judge("no") < 4 * 8
    assert await client.judge("no") == 0


@pytest.mark.parametrize("first", [True, False])
async def test_a_request_that_is_no_protobuf_ends_only_its_own_stream(world: World, *, first: bool) -> None:
    browser = await browser_of(world)
    call = world.channel.stream_stream(f"/{discovery.AGGREGATED}/DeltaAggregatedResources")()
    if not first:
        await call.write(delta().SerializeToString())
        await call.read()
    await call.write(b"\xff")
    await assert_ends(call, grpc.StatusCode.INVALID_ARGUMENT, "not of type envoy.service.discovery.v3.DeltaDiscovery")
    assert world.service.refused == {Fault.INVALID_ARGUMENT: 1}
    await browser.exchange()


async def test_a_request_that_is_too_large_ends_only_its_own_stream(world: World) -> None:
    browser = await browser_of(world)
    call = world.stub.DeltaAggregatedResources()
    await call.write(delta(resource_names_unsubscribe=["x" * discovery.MAX_REQUEST_BYTES]))
    await assert_ends(call, grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max")
    await browser.exchange()


async def test_a_connection_carries_so_many_streams_and_the_next_one_waits_for_one_to_end(world: World) -> None:
    browser = await browser_of(world)
    calls = [world.stub.DeltaAggregatedResources() for _ in range(discovery.MAX_STREAMS_PER_CONNECTION)]
    answers = []
    for number, call in enumerate(calls):
        answers.append(asyncio.create_task(answer_of(call, f"node-{number}")))
    *served, waiting = answers
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*served)
        for _ in range(20):
            await browser.exchange()
        assert len(world.observer.proxies) == discovery.MAX_STREAMS_PER_CONNECTION
        assert not waiting.done()
        calls[0].cancel()
        await waiting


async def answer_of(call: Any, node: str) -> Any:
    await call.write(delta(node=node))
    return await call.read()
