"""Our xDS server and a real Envoy, oldest and newest, over both protocols: Envoy runs what the cache holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from tests.peers import envoy_dump
from tests.peers.envoy import BETWEEN, NEWEST, OLDEST, Envoy, Wiring, running_envoy
from tests.peers.envoy_messages import NOBODYS_ADDRESS, assignment, eds_cluster, udp_listener
from tests.peers.eventually import eventually
from tests.peers.ports import PortRange
from tests.peers.xds import Recorder, XdsServer
from xds_server.cache import ResourceCache
from xds_server.resources import LISTENER, Resource
from xds_server.subscription import SyncState, XdsProtocol

pytestmark = pytest.mark.integration

# Envoy waits this long for what it was promised; a test that takes less has shown that it did not wait.
WARMING_SECONDS = 15
WIRINGS = [Wiring(protocol=protocol) for protocol in XdsProtocol]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A server, an Envoy that is connected to it, and how."""

    server: XdsServer
    envoy: Envoy
    wiring: Wiring

    @property
    def cache(self) -> ResourceCache:
        return self.server.cache

    @property
    def recorder(self) -> Recorder:
        return self.server.recorder

    async def assert_equal(self) -> None:
        """Envoy runs what the cache holds, nothing else, and waits for nothing."""
        await assert_equal(self.server.cache, self.envoy, versions=self.wiring.protocol is XdsProtocol.DELTA)


async def assert_equal(cache: ResourceCache, envoy: Envoy, *, versions: bool) -> None:
    """Acknowledging comes before use by some milliseconds: so this waits before it compares."""

    async def equal() -> bool:
        shown = envoy_dump.read(await envoy.dump())
        return shown.contents == envoy_dump.wanted(cache).contents and not shown.warming

    with suppress(AssertionError):  # what differs is said below
        await eventually(equal, 5, "equality")
    shown, wanted = envoy_dump.read(await envoy.dump()), envoy_dump.wanted(cache)
    assert shown.contents == wanted.contents
    assert shown.warming == []
    if versions:
        assert shown.versions == wanted.versions


@asynccontextmanager
async def connected(
    port: int, wiring: Wiring, resources: Sequence[Resource], *, version: str = NEWEST
) -> AsyncIterator[Pair]:
    """A server with these resources and an Envoy that has answered for all of them."""
    async with XdsServer(port) as server, running_envoy(port, wiring, version=version) as envoy:
        server.cache.update(upsert=resources)
        await server.recorder.until(server.recorder.has(*resources))
        yield Pair(server=server, envoy=envoy, wiring=wiring)


def slots(wiring: Wiring, *names: str) -> list[Resource]:
    """For each name a UDP listener, its cluster and the cluster's endpoints, of which there are none yet."""
    messages: list[Any] = []
    for name in names:
        messages += [udp_listener(name), eds_cluster(name, wiring.source()), assignment(name)]
    return [Resource.of(message) for message in messages]


@pytest.fixture(params=[OLDEST, NEWEST])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=WIRINGS, ids=str)
def wiring(request: pytest.FixtureRequest) -> Wiring:
    assert isinstance(request.param, Wiring)
    return request.param


@pytest.mark.parametrize("version", [OLDEST, BETWEEN, NEWEST])
async def test_envoy_runs_what_the_cache_holds(ports: PortRange, wiring: Wiring, version: str) -> None:
    async with connected(ports.take(), wiring, slots(wiring, "one", "two"), version=version) as pair:
        await pair.assert_equal()
        proxy = pair.recorder.proxies[0]
        assert (proxy.node.id, proxy.node.user_agent, proxy.had_state) == ("envoy-1", "envoy", False)
        assert proxy.node.user_agent_version == version
        assert {status.state for status in proxy.statuses()} == {SyncState.SYNCED}

        changed = Resource.of(assignment("one", 5004))
        pair.cache.update(upsert=[changed])
        await pair.recorder.until(pair.recorder.has(changed))
        await pair.assert_equal()


async def test_a_changed_cluster_is_in_use_at_once_as_its_endpoints_follow_it(
    ports: PortRange, wiring: Wiring, version: str
) -> None:
    async with connected(ports.take(), wiring, slots(wiring, "one"), version=version) as pair:
        changed = Resource.of(eds_cluster("one", wiring.source(), connect_timeout=3))
        pair.cache.update(upsert=[changed])
        await pair.recorder.until(pair.recorder.has(changed), WARMING_SECONDS / 3)
        await pair.assert_equal()


async def test_slots_can_be_added_and_removed(ports: PortRange, wiring: Wiring, version: str) -> None:
    first = slots(wiring, "one", "two")
    async with connected(ports.take(), wiring, first, version=version) as pair:
        more = slots(wiring, "three")
        gone = [(r.type_url, r.name) for r in first if r.name == "one"]
        pair.cache.update(upsert=more, remove=gone)
        recorder = pair.recorder
        await recorder.until(lambda: recorder.has(*more)() and all(recorder.acknowledged[key] is None for key in gone))
        await pair.assert_equal()


async def test_a_listener_that_was_good_stays_as_it_was_when_its_change_is_refused(
    ports: PortRange, wiring: Wiring
) -> None:
    async with connected(ports.take(), wiring, slots(wiring, "one", "two")) as pair:
        unknown = udp_listener("one")
        unknown.listener_filters[0].typed_config.type_url = "type.googleapis.com/no.such.Filter"
        third = slots(wiring, "three")
        pair.cache.update(upsert=[Resource.of(unknown), *third])
        await pair.recorder.until(lambda: "one" in pair.recorder.rejected and pair.recorder.has(*third)())
        shown = envoy_dump.read(await pair.envoy.dump()).contents
        assert shown[LISTENER.type_url, "one"] == udp_listener("one")
        assert {name for type_url, name in shown if type_url == LISTENER.type_url} == {"one", "two", "three"}


async def test_after_a_restart_of_the_server_envoy_is_sent_nothing_that_it_has(
    ports: PortRange, wiring: Wiring, version: str
) -> None:
    first = slots(wiring, "one", "two")
    async with connected(ports.take(), wiring, first, version=version) as pair:
        # By name and without versions of single resources nobody can tell what Envoy still has.
        types = ["cds", "lds", "one", "two"] if wiring.protocol is XdsProtocol.DELTA else ["cds", "lds"]
        pattern = f"({'|'.join(types)}).update_success"
        before = await pair.envoy.stats(pattern)
        await pair.server.stop()
        pair.recorder.acknowledged.clear()
        await pair.server.start()
        await pair.recorder.until(pair.recorder.has(*first))
        proxy = pair.recorder.proxies[1]
        assert proxy.had_state
        assert {status.state for status in proxy.statuses()} == {SyncState.SYNCED}
        assert await pair.envoy.stats(pattern) == before
        assert any(before.values())
        await pair.assert_equal()


async def test_what_changed_while_the_server_was_away_is_in_use_after_it(
    ports: PortRange, wiring: Wiring, version: str
) -> None:
    first = slots(wiring, "one", "two")
    async with connected(ports.take(), wiring, first, version=version) as pair:
        await pair.server.stop()
        gone = [(r.type_url, r.name) for r in first if r.name == "one"]
        pair.cache.update(upsert=[*slots(wiring, "three"), Resource.of(assignment("two", 5004))], remove=gone)
        await pair.server.start()
        await pair.recorder.settle()
        await pair.assert_equal()


async def test_an_address_that_nobody_has_is_refused_in_envoys_own_words(ports: PortRange, wiring: Wiring) -> None:
    async with connected(ports.take(), wiring, slots(wiring, "one")) as pair:
        pair.cache.update(upsert=[Resource.of(udp_listener("two", address=NOBODYS_ADDRESS)), *slots(wiring, "two")[1:]])
        await pair.recorder.until(lambda: "two" in pair.recorder.rejected)
        (status,) = (each for each in pair.recorder.statuses() if each.state is SyncState.REJECTED)
        assert (status.type_url, status.name) == (LISTENER.type_url, "two")
        assert NOBODYS_ADDRESS in (status.error or "")
