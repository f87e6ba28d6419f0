"""HTTP/3 through a UDPRoute: QUIC passes as it is, between aioquic on both sides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.peers.certificates import Certificate, make_certificate
from tests.peers.gateways import Document, Edge, backend, gateway, policy, route
from tests.peers.http3 import http3_client, http3_server

pytestmark = pytest.mark.integration

# More than the windows that both sides start with, so that packets of all sizes and acknowledgements go both ways.
LARGE_BODY = bytes(range(256)) * 4096
SERVERS = ("north", "east", "south", "west")
# With one in four right by chance, it is one in sixteen thousand that this many changes of port prove nothing.
PORT_CHANGES = 7


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    with Edge(tmp_path / "documents") as edge:
        yield edge


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path, "game.test")


@pytest.fixture
async def servers(edge: Edge, certificate: Certificate) -> AsyncIterator[dict[str, int]]:
    """QUIC servers and their ports."""
    ports = {name: edge.take_port() for name in SERVERS}
    async with AsyncExitStack() as stack:
        for name, port in ports.items():
            await stack.enter_async_context(http3_server(name, certificate, port))
        yield ports


async def serve(edge: Edge, servers: dict[str, int], *more: Document) -> int:
    """Start a mesh with a route to all servers, in equal shares. The port of its listener."""
    port = edge.take_port()
    backends = [backend(name, server) for name, server in servers.items()]
    shares = dict.fromkeys(servers, 1)
    await asyncio.to_thread(edge.up, gateway(udp_quic=port), route("udp_quic", **shares), *backends, *more)
    return port


async def test_an_http3_request_passes_through_to_a_quic_server(
    edge: Edge, servers: dict[str, int], certificate: Certificate
) -> None:
    port = await serve(edge, servers)
    async with http3_client(port, certificate) as client:
        answer = await client.request("GET", "/")
    assert answer.headers[b":status"] == b"200"
    assert answer.headers[b"x-server"].decode() in servers


async def test_large_bodies_pass_both_ways(edge: Edge, servers: dict[str, int], certificate: Certificate) -> None:
    port = await serve(edge, servers)
    async with http3_client(port, certificate) as client:
        answer = await client.request("POST", "/", LARGE_BODY)
    assert bytes(answer.body) == LARGE_BODY


async def test_large_bodies_pass_where_sessions_have_a_maximum_time(
    edge: Edge, servers: dict[str, int], certificate: Certificate
) -> None:
    port = await serve(edge, servers, policy("udp_quic", session={"maxDuration": "1h"}))
    async with http3_client(port, certificate) as client:
        answer = await client.request("POST", "/", LARGE_BODY)
    assert bytes(answer.body) == LARGE_BODY


async def test_connections_go_to_all_servers_and_each_stays_at_its_own(
    edge: Edge, servers: dict[str, int], certificate: Certificate
) -> None:
    port = await serve(edge, servers)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(http3_client(port, certificate)) for _ in range(8)]
        answers = [[(await client.request("GET", "/")).headers[b"x-server"] for client in clients] for _ in range(3)]
    assert {name.decode() for name in answers[0]} == set(servers)
    assert answers[0] == answers[1] == answers[2]


async def test_a_client_whose_port_changes_finds_its_server_again_by_its_address(
    edge: Edge, servers: dict[str, int], certificate: Certificate
) -> None:
    port = await serve(edge, servers, policy("udp_quic", balancing={"algorithm": "Maglev"}))
    async with http3_client(port, certificate) as client:
        first = (await client.request("GET", "/")).headers[b"x-server"]
        for _ in range(PORT_CHANGES):
            await client.change_port()
            assert (await client.request("GET", "/")).headers[b"x-server"] == first
