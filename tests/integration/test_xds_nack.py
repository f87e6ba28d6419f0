"""What a real Envoy refuses is found out and held back; the rest works, and nothing of a refused response is left over.

Envoy uses the good part of a response that it refuses, but states no versions of it when it comes back. So the server
must keep in mind that what it sent may be there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from signal import SIGCONT, SIGSTOP

import pytest

from tests.peers import envoy_dump
from tests.peers.envoy import Wiring
from tests.peers.envoy_messages import LISTENER, NOBODYS_ADDRESS, assignment, eds_cluster, udp_listener
from tests.peers.eventually import eventually
from tests.peers.ports import PortRange
from tests.peers.udp_echo import EchoServer, Flow
from tests.peers.xds import WAIT_SECONDS
from tests.peers.xds_pair import VARIANTS, Pair, connected
from xds_server.resources import Resource
from xds_server.subscription import SyncState

pytestmark = pytest.mark.integration

GOOD = [f"good-{number}" for number in range(100)]
SAMPLE = (0, 1, 49, 50, 98, 99)
both_protocols = pytest.mark.parametrize(("version", "wiring"), VARIANTS, ids=str)


@pytest.fixture
def backend() -> Iterator[EchoServer]:
    with EchoServer("backend") as server:
        yield server


def impossible() -> Resource:
    return Resource.of(udp_listener("impossible", "backend", address=NOBODYS_ADDRESS))


def good(*names: str) -> list[Resource]:
    return [Resource.of(udp_listener(name, "backend")) for name in names]


def backend_resources(wiring: Wiring, backend: EchoServer) -> list[Resource]:
    return [
        Resource.of(message)
        for message in (eds_cluster("backend", wiring.source()), assignment("backend", backend.port))
    ]


def listeners(pair: Pair) -> dict[str, SyncState]:
    return {each.name: each.state for each in pair.recorder.statuses() if each.type_url == LISTENER}


async def assert_all_but_the_bad_one_work(pair: Pair) -> None:
    """It is reported with Envoy's words, and datagrams pass through the others."""
    await pair.server.settle()
    assert listeners(pair) == {**dict.fromkeys(GOOD, SyncState.SYNCED), "impossible": SyncState.REJECTED}
    (status,) = (each for each in pair.recorder.statuses() if each.state is SyncState.REJECTED)
    assert NOBODYS_ADDRESS in (status.error or "")
    assert await pair.differences(frozenset({(LISTENER, "impossible")})) == []
    for number in SAMPLE:
        _, port = await pair.envoy.listening(GOOD[number])
        with Flow(port) as flow:
            assert flow.ask() == "backend"


@both_protocols
async def test_one_impossible_listener_among_a_hundred_is_reported_and_the_hundred_work(
    ports: PortRange, backend: EchoServer, version: str, wiring: Wiring
) -> None:
    first = backend_resources(wiring, backend)
    async with connected(ports.take(), wiring, first, version=version) as pair:
        pair.cache.update(upsert=[*good(*GOOD[:50]), impossible(), *good(*GOOD[50:])])
        await assert_all_but_the_bad_one_work(pair)
        assert set(pair.recorder.rejected) == {"impossible"}

        pair.server.cut()
        await pair.recorder.until(lambda: len(pair.recorder.proxies) == 2)
        await assert_all_but_the_bad_one_work(pair)

        mended = Resource.of(udp_listener("impossible", "backend"))
        pair.cache.update(upsert=[mended])
        await pair.recorder.until(pair.recorder.has(mended))
        await pair.assert_equal()


@asynccontextmanager
async def stopped(pair: Pair) -> AsyncIterator[None]:
    """Envoy does nothing meanwhile; what it is sent it finds when it goes on."""
    pair.envoy.process.send(SIGSTOP)
    try:
        yield
    finally:
        pair.envoy.process.send(SIGCONT)


async def sent(pair: Pair, name: str) -> None:
    """Wait until a listener is on its way."""

    async def on_its_way() -> bool:
        return listeners(pair).get(name) is SyncState.SENT

    await eventually(on_its_way, WAIT_SECONDS, f"sending of {name!r}")


@both_protocols
@pytest.mark.parametrize("reconnects", [False, True], ids=["same-stream", "reconnect"])
async def test_a_good_listener_of_a_refused_response_does_not_outlive_its_removal(
    ports: PortRange, backend: EchoServer, version: str, wiring: Wiring, reconnects: bool
) -> None:
    first = [*backend_resources(wiring, backend), *good("old")]
    async with connected(ports.take(), wiring, first, version=version) as pair:
        async with stopped(pair):
            pair.cache.update(upsert=[impossible(), *good("new")])
            await sent(pair, "new")
            pair.cache.update(remove=[(LISTENER, "new")])
            if reconnects:
                pair.server.cut()
        await pair.recorder.until(lambda: "impossible" in pair.recorder.rejected)
        pair.cache.update(remove=[(LISTENER, "impossible")])
        await pair.server.settle()
        await pair.assert_equal()
        assert {name for kind, name in envoy_dump.read(await pair.envoy.dump()).contents if kind == LISTENER} == {"old"}
