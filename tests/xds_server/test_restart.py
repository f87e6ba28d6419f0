"""A fleet of a thousand proxies whose server is replaced: nothing that they have is sent again, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc

from tests.peers.ports import reserve_ports
from tests.xds_server.meshes import (
    PATIENCE,
    Client,
    DeltaClient,
    SotwClient,
    camera,
    heard,
    mesh_files,
    new_plane,
    publish,
    served,
    stubs,
)
from xds_server.resource_types import CLUSTER, ENDPOINT, ROUTE

CAMERAS = 10
CONNECTIONS = 20
"""Fifty streams each; a server takes a hundred on one connection."""
FILES = mesh_files(CAMERAS)
NAMES = (*(f"default/cam-{number}" for number in range(CAMERAS)), "default/spare")
CHANGED, NEW = NAMES[0], "default/new"
ROUTES = (ROUTE.type_url, ("rtsp",))


async def follow(clients: list[Client], until: Callable[[Client], bool]) -> None:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.follow(lambda client=client: until(client)))


async def connect(clients: list[Client], to: list[object]) -> None:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        for number, client in enumerate(clients):
            group.create_task(client.connect(to[number % len(to)]))


async def test_a_fleet_whose_server_is_replaced_is_sent_nothing_again_and_loses_nothing() -> None:
    everything = [DeltaClient(f"all-{number}", {CLUSTER: "*", ENDPOINT: "*", ROUTE: "*"}) for number in range(400)]
    named = [DeltaClient(f"named-{number}", {CLUSTER: NAMES, ENDPOINT: NAMES}) for number in range(300)]
    sotw = [SotwClient(f"sotw-{number}", (CLUSTER, ROUTE)) for number in range(300)]
    fleet: list[Client] = [*everything, *named, *sotw]
    incremental: list[Client] = [*everything, *named]
    requests = 3 * len(everything) + 2 * len(named) + 2 * len(sotw)
    with reserve_ports(1) as ports:
        port = ports.take()
        async with stubs(port, CONNECTIONS) as connections:
            async with served(new_plane(port)) as first:
                publish(first, FILES)
                await connect(fleet, connections)
                await follow(fleet, lambda client: len(client.told) == client.types)
            codes = await asyncio.gather(*(client.ended() for client in fleet))
            assert set(codes) == {grpc.StatusCode.UNAVAILABLE}

        async with stubs(port, CONNECTIONS) as connections, served(new_plane(port)) as second:
            await connect(fleet, connections)
            await heard(second, proxies=len(fleet), requests=requests)
            assert sum(proxy.traffic.responses for proxy in second.proxies.values()) == 0, (
                "the new server knows nothing"
            )

            changed = dict(reversed({**FILES, "0.yaml": camera("cam-0", "192.0.2.77")}.items()))
            publish(second, changed)
            await follow(incremental, lambda client: len(client.told) == 1)
            assert {told for client in incremental for told in client.told} == {(ENDPOINT.type_url, (CHANGED,))}
            assert sum(proxy.traffic.responses for proxy in second.proxies.values()) == len(incremental)

            publish(second, {**changed, "0.yaml": camera("cam-0", "192.0.2.78"), "new.yaml": camera("new")})
            await follow(everything, lambda client: len(client.told) == 4)
            await follow(named, lambda client: len(client.told) == 2)
            await follow(sotw, lambda client: len(client.told) == 2)
            added = {(CLUSTER.type_url, (NEW,)), (ENDPOINT.type_url, (CHANGED, NEW)), ROUTES}
            assert all(set(client.told[1:]) == added for client in everything)
            assert all(client.told[1:] == [(ENDPOINT.type_url, (CHANGED,))] for client in named)
            whole = {(CLUSTER.type_url, tuple(sorted((*NAMES, NEW)))), ROUTES}
            assert all(set(client.told) == whole for client in sotw)
