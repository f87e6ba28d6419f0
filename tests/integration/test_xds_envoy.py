"""Our xDS server and a real Envoy, oldest and newest, over both protocols: Envoy runs what the cache holds."""

from __future__ import annotations

import pytest

from tests.peers import envoy_dump
from tests.peers.envoy import BETWEEN, NEWEST, OLDEST, Wiring
from tests.peers.envoy_messages import LISTENER, assignment, eds_cluster, udp_listener
from tests.peers.ports import PortRange
from tests.peers.xds_pair import WARMING_SECONDS, connected, slots
from xds_server.resources import Resource
from xds_server.subscription import SyncState, XdsProtocol

pytestmark = pytest.mark.integration


@pytest.fixture(params=[OLDEST, NEWEST])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[Wiring(protocol=protocol) for protocol in XdsProtocol], ids=str)
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
        assert shown[LISTENER, "one"] == udp_listener("one")
        assert {name for type_url, name in shown if type_url == LISTENER} == {"one", "two", "three"}


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
        await pair.server.settle()
        await pair.assert_equal()
