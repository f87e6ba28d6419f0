"""gRPC's own xDS client, which is not Envoy, is served by us: calls go where resources say, through every change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.peers.envoy import Wiring
from tests.peers.envoy_messages import CLUSTER, ENDPOINT, LISTENER, ROUTE, eds_cluster, route
from tests.peers.grpc_xds import GrpcBackend, GrpcCaller, endpoints, grpc_caller, service_messages
from tests.peers.ports import PortRange
from tests.peers.xds import XdsServer
from xds_server.resources import Resource
from xds_server.subscription import SyncState, XdsProtocol

pytestmark = pytest.mark.integration

SERVICE = "echo.test"
# gRPC speaks state of the world, aggregated.
SOURCE = Wiring(protocol=XdsProtocol.SOTW).source()
MOVES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A server, the backends "one" and "two", and a program that calls: the service is at "one" at first."""

    server: XdsServer
    caller: GrpcCaller
    backends: tuple[GrpcBackend, GrpcBackend]

    def put(self, *messages: object, remove: tuple[tuple[str, str], ...] = ()) -> None:
        self.server.cache.update(upsert=[Resource.of(message) for message in messages], remove=remove)

    async def outcome(self, pattern: str) -> str:
        """Wait for a call with this outcome, from now on."""
        return await asyncio.to_thread(self.caller.wait_for, pattern)

    def failures(self) -> list[str]:
        return [each for each in self.caller.outcomes if each.startswith("error")]

    def states(self) -> dict[str, SyncState]:
        return {each.type_url: each.state for each in self.server.recorder.statuses()}


@pytest.fixture
def backends() -> Iterator[tuple[GrpcBackend, GrpcBackend]]:
    with GrpcBackend("one") as one, GrpcBackend("two") as two:
        yield one, two


@asynccontextmanager
async def called(port: int, backends: tuple[GrpcBackend, GrpcBackend]) -> AsyncIterator[Called]:
    async with XdsServer(port) as server:
        messages = service_messages(SERVICE, SOURCE, backends[0])
        server.cache.update(upsert=[Resource.of(message) for message in messages])
        with grpc_caller(SERVICE, port) as caller:
            pair = Called(server=server, caller=caller, backends=backends)
            await pair.outcome("answer one")
            yield pair


async def test_calls_reach_the_backend_that_the_resources_name(
    ports: PortRange, backends: tuple[GrpcBackend, GrpcBackend]
) -> None:
    async with called(ports.take(), backends) as pair:
        await pair.server.settle()
        assert pair.states() == dict.fromkeys((LISTENER, ROUTE, CLUSTER, ENDPOINT), SyncState.SYNCED)
        (proxy,) = pair.server.recorder.live
        assert proxy.node.id == "grpc-1"
        assert proxy.node.user_agent.startswith("gRPC")
        assert pair.failures() == []


async def test_endpoints_move_to_another_backend_and_back_without_a_failed_call(
    ports: PortRange, backends: tuple[GrpcBackend, GrpcBackend]
) -> None:
    async with called(ports.take(), backends) as pair:
        for move in range(1, MOVES):
            backend = backends[move % 2]
            pair.put(endpoints(SERVICE, backend))
            await pair.outcome(f"answer {backend.name}")
        assert pair.failures() == []


async def test_routes_move_to_new_clusters_and_then_the_old_ones_go_without_a_failed_call(
    ports: PortRange, backends: tuple[GrpcBackend, GrpcBackend]
) -> None:
    """In two steps: gRPC acknowledges routes before it asks for their cluster, and uses the old one until it has it."""
    async with called(ports.take(), backends) as pair:
        old = SERVICE
        for move in range(1, MOVES):
            new, backend = f"cluster-{move}", backends[move % 2]
            pair.put(eds_cluster(new, SOURCE), endpoints(new, backend), route(SERVICE, new))
            await pair.outcome(f"answer {backend.name}")
            pair.put(remove=((CLUSTER, old), (ENDPOINT, old)))
            old = new
        assert pair.failures() == []
        await pair.server.settle()
        assert {each.name for each in pair.server.recorder.statuses() if each.type_url == CLUSTER} == {old}


async def test_calls_fail_while_the_service_does_not_exist_and_work_when_it_is_back(
    ports: PortRange, backends: tuple[GrpcBackend, GrpcBackend]
) -> None:
    async with called(ports.take(), backends) as pair:
        pair.put(remove=tuple((kind, SERVICE) for kind in (LISTENER, ROUTE, CLUSTER, ENDPOINT)))
        assert "does not exist" in await pair.outcome("error UNAVAILABLE")
        pair.put(*service_messages(SERVICE, SOURCE, backends[1]))
        await pair.outcome("answer two")


async def test_calls_fail_while_there_are_no_endpoints(
    ports: PortRange, backends: tuple[GrpcBackend, GrpcBackend]
) -> None:
    async with called(ports.take(), backends) as pair:
        pair.put(endpoints(SERVICE))
        await pair.outcome("error UNAVAILABLE")
        pair.put(endpoints(SERVICE, backends[1]))
        await pair.outcome("answer two")


async def test_routes_that_grpc_refuses_are_reported_in_its_words_and_the_old_ones_stay(
    ports: PortRange, backends: tuple[GrpcBackend, GrpcBackend]
) -> None:
    async with called(ports.take(), backends) as pair:
        bad = route(SERVICE, SERVICE)
        bad.virtual_hosts[0].routes[0].match.safe_regex.regex = "(["
        pair.put(bad)
        await pair.server.recorder.until(lambda: SERVICE in pair.server.recorder.rejected)
        assert pair.states()[ROUTE] is SyncState.REJECTED
        assert "Invalid regex" in pair.server.recorder.rejected[SERVICE]
        await pair.outcome("answer one")

        mended = route(SERVICE, SERVICE)
        mended.virtual_hosts[0].routes[0].route.timeout.seconds = 3
        pair.put(mended)
        await pair.server.recorder.until(pair.server.recorder.has(Resource.of(mended)))
        assert pair.states()[ROUTE] is SyncState.SYNCED
        assert pair.failures() == []


async def test_calls_go_on_while_the_server_is_away_and_follow_what_changed_meanwhile(
    ports: PortRange, backends: tuple[GrpcBackend, GrpcBackend]
) -> None:
    async with called(ports.take(), backends) as pair:
        await pair.server.stop()
        await pair.outcome("answer one")
        pair.put(endpoints(SERVICE, backends[1]))
        await pair.server.start()
        await pair.outcome("answer two")
        assert pair.failures() == []
