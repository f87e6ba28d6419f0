"""The aggregated discovery service over real gRPC on the loopback interface."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from envoy.service.discovery.v3 import discovery_pb2
from envoy.service.endpoint.v3 import eds_pb2_grpc

from tests.xds_server.worlds import World, assert_ends, cluster, delta
from xds_server.resource_types import CLUSTER, ENDPOINT, RESOURCE_TYPES, ResourceType
from xds_server.resources import Resource


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


KINDS = tuple(RESOURCE_TYPES.values())


def service_call(channel: Any, kind: ResourceType, method: str, request_type: Any, response_type: Any) -> Any:
    assert kind.service is not None
    make = channel.stream_stream(
        f"/{kind.service.name}/{method}",
        request_serializer=request_type.SerializeToString,
        response_deserializer=response_type.FromString,
    )
    return make()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.short_name)
async def test_every_type_has_a_service_of_its_own_which_implies_it(world: World, kind: ResourceType) -> None:
    assert kind.service is not None
    world.cache.update(upsert=[Resource(kind.type_url, "a", "1", b"")])
    call = service_call(
        world.channel,
        kind,
        kind.service.delta,
        discovery_pb2.DeltaDiscoveryRequest,
        discovery_pb2.DeltaDiscoveryResponse,
    )
    await call.write(delta("", resource_names_subscribe=["a"]))
    response = await call.read()
    assert (response.type_url, [entry.name for entry in response.resources]) == (kind.type_url, ["a"])
    await call.write(delta("", response_nonce=response.nonce))
    world.cache.update(upsert=[Resource(kind.type_url, "a", "2", b"")])
    assert [entry.version for entry in (await call.read()).resources] == ["2"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.service and kind.service.stream])
async def test_every_type_but_virtual_hosts_is_served_as_the_state_of_the_world_too(
    world: World, kind: ResourceType
) -> None:
    assert kind.service is not None
    assert kind.service.stream is not None
    world.cache.update(upsert=[Resource(kind.type_url, "a", "1", b"")])
    call = service_call(
        world.channel, kind, kind.service.stream, discovery_pb2.DiscoveryRequest, discovery_pb2.DiscoveryResponse
    )
    request = discovery_pb2.DiscoveryRequest(resource_names=["a"])
    request.node.cluster = "known"
    await call.write(request)
    response = await call.read()
    assert (response.type_url, len(response.resources)) == (kind.type_url, 1)


async def test_a_service_of_one_type_has_no_other(world: World) -> None:
    call = eds_pb2_grpc.EndpointDiscoveryServiceStub(world.channel).DeltaEndpoints()
    await call.write(delta(CLUSTER.type_url))
    await assert_ends(call, grpc.StatusCode.INVALID_ARGUMENT, "resources of type")


async def test_unary_fetches_are_refused_with_what_to_use_instead(world: World) -> None:
    request = discovery_pb2.DiscoveryRequest(node={"cluster": "known"})
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await eds_pb2_grpc.EndpointDiscoveryServiceStub(world.channel).FetchEndpoints(request)
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "use DeltaEndpoints" in (error.value.details() or "")


async def test_what_an_ended_stream_exchanged_stays_counted(world: World) -> None:
    call = world.stub.DeltaAggregatedResources()
    await call.write(delta())
    response = await call.read()
    refusal = delta(response_nonce=response.nonce)
    refusal.error_detail.message = "no"
    await call.write(refusal)
    await call.done_writing()
    await world.observer.gone.get()
    traffic = world.service.traffic
    assert (traffic.requests, traffic.acks, traffic.nacks, traffic.responses) == (2, 0, 1, 1)
    assert traffic.bytes_sent == response.ByteSize()


async def test_what_a_refused_response_may_have_left_is_removed_on_the_next_stream(world: World) -> None:
    world.cache.update(upsert=[cluster("good"), cluster("bad")])
    call = world.stub.DeltaAggregatedResources()
    await call.write(delta())
    response = await call.read()
    refusal = delta(response_nonce=response.nonce)
    refusal.error_detail.message = "no"
    await call.write(refusal)
    await call.done_writing()
    await world.observer.gone.get()
    world.cache.update(remove=[(CLUSTER.type_url, "good"), (CLUSTER.type_url, "bad")])
    call = world.stub.DeltaAggregatedResources()
    await call.write(delta())
    response = await call.read()
    await call.write(delta(response_nonce=response.nonce))
    assert sorted((await call.read()).removed_resources) == ["bad", "good"]
