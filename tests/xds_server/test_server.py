"""The library: what docs/xds.md shows, run as it stands there."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc

from tests.peers.ports import reserve_ports
from xds_server import Resource, XdsServer
from xds_server.resource_types import CLUSTER, LISTENER

PAGE = Path(__file__).parents[2] / "docs" / "xds.md"
MOST_LINES = 20


async def resources_of(port: int, node_id: str, type_url: str) -> list[str]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources(wait_for_ready=True)
        await call.write(discovery_pb2.DeltaDiscoveryRequest(node={"id": node_id}, type_url=type_url))
        response = await call.read()
        call.cancel()
        return [entry.resource.value.decode(errors="replace") for entry in response.resources]


async def test_the_code_of_the_page_serves_resources(tmp_path: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= MOST_LINES
    with reserve_ports(1) as ports:
        program = tmp_path / "program.py"
        program.write_text(code.replace("18000", str(ports.first)))
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(program), cwd=PAGE.parents[1], env={"PYTHONPATH": str(PAGE.parents[1])}
        )
        try:
            (cluster,) = await resources_of(ports.first, "edge-1", CLUSTER.type_url)
            assert "cams" in cluster
            assert await resources_of(ports.first, "edge-1", LISTENER.type_url) == []
        finally:
            process.terminate()
            await process.wait()


@pytest.fixture
async def server() -> AsyncIterator[XdsServer]:
    server = XdsServer("127.0.0.1:0", key=lambda node: node.locality.zone or node.id)
    running = asyncio.create_task(server.run(), name="xds-server")
    await server.listening.wait()
    yield server
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_nodes_with_one_key_share_resources_and_others_are_refused(server: XdsServer) -> None:
    server.resources("a").update(upsert=[Resource.of(cluster_pb2.Cluster(name="of-a"))])
    server.resources("b")
    assert len(await resources_of(server.port, "a", CLUSTER.type_url)) == 1
    assert await resources_of(server.port, "b", CLUSTER.type_url) == []
    with pytest.raises(grpc.aio.AioRpcError, match="no configuration for node 'c'"):
        await resources_of(server.port, "c", CLUSTER.type_url)


async def test_an_address_that_cannot_be_had_is_an_os_error(server: XdsServer) -> None:
    with pytest.raises(OSError, match="cannot listen at"):
        await XdsServer(f"127.0.0.1:{server.port}").run()


async def test_the_server_says_how_far_its_nodes_are(server: XdsServer) -> None:
    server.resources("a").update(upsert=[Resource.of(cluster_pb2.Cluster(name="x"))])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources()
        await call.write(discovery_pb2.DeltaDiscoveryRequest(node={"id": "a"}, type_url=CLUSTER.type_url))
        await call.read()
        answer = await csds_pb2_grpc.ClientStatusDiscoveryServiceStub(channel).FetchClientStatus(
            csds_pb2.ClientStatusRequest()
        )
    ((node, status),) = [(each.node.id, each.generic_xds_configs[0]) for each in answer.config]
    assert (node, status.name, status.config_status) == ("a", "x", csds_pb2.STALE)
