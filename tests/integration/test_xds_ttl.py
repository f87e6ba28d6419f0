"""A resource with a time to live stays in a real Envoy while it is renewed, and goes when the server falls silent.

Envoy says that it knows times to live only if its bootstrap does. Of state of the world they are kept to listeners and
clusters: Envoy takes a renewal without content for a full state without the rest, and crashes when endpoints or
routes expire.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.peers import envoy_dump
from tests.peers.envoy import NEWEST, OLDEST, Wiring
from tests.peers.envoy_messages import CLUSTER, ENDPOINT, LISTENER, assignment, eds_cluster, udp_listener
from tests.peers.eventually import eventually
from tests.peers.ports import PortRange
from tests.peers.xds_pair import USE_SECONDS, Pair, connected, slots
from xds_server.resources import Resource
from xds_server.subscription import XdsProtocol

pytestmark = pytest.mark.integration

TTL_SECONDS = 1.0
RENEWALS = 3
FEATURES = ("xds.config.supports-resource-ttl", "xds.config.resource-in-sotw")
WIRINGS = [Wiring(protocol=protocol, client_features=FEATURES) for protocol in XdsProtocol]
MORTAL = {(LISTENER, "mortal"), (CLUSTER, "mortal")}


def mortal(wiring: Wiring) -> list[Resource]:
    """A slot that lives for a second, its endpoints too."""
    messages = udp_listener("mortal"), eds_cluster("mortal", wiring.source()), assignment("mortal", 5004)
    return [Resource.of(message, ttl=TTL_SECONDS) for message in messages]


async def running(pair: Pair) -> set[tuple[str, str]]:
    return {key for key in envoy_dump.read(await pair.envoy.dump()).contents if key[0] != ENDPOINT}


@asynccontextmanager
async def with_mortal(ports: PortRange, wiring: Wiring, version: str) -> AsyncIterator[Pair]:
    first = [*slots(wiring, "immortal"), *mortal(wiring)]
    async with connected(ports.take(), wiring, first, version=version) as pair:
        await pair.assert_equal()
        yield pair


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("wiring", WIRINGS, ids=str)
async def test_what_is_renewed_stays_and_goes_when_the_server_falls_silent(
    ports: PortRange, version: str, wiring: Wiring
) -> None:
    async with with_mortal(ports, wiring, version) as pair:
        before = await pair.envoy.stats("(lds|cds).update_success|listener_modified")

        async def renewed() -> bool:
            now = await pair.envoy.stats("(lds|cds).update_success|listener_modified")
            return all(now[name] >= value + RENEWALS for name, value in before.items() if "update" in name)

        await eventually(renewed, (RENEWALS + 1) * TTL_SECONDS + USE_SECONDS, "renewal")
        await pair.assert_equal()
        modified = "listener_manager.listener_modified"
        assert (await pair.envoy.stats("listener_modified"))[modified] == before[modified]

        await pair.server.stop()

        async def expired() -> bool:
            return not MORTAL & await running(pair)

        await eventually(expired, TTL_SECONDS + USE_SECONDS, "expiry")
        assert await running(pair) == {(LISTENER, "immortal"), (CLUSTER, "immortal")}

        await pair.server.start()
        await pair.server.settle()
        await pair.assert_equal()


@pytest.mark.parametrize("protocol", XdsProtocol)
async def test_an_envoy_that_does_not_say_that_it_knows_times_to_live_is_sent_none(
    ports: PortRange, protocol: XdsProtocol
) -> None:
    wiring = Wiring(protocol=protocol)
    async with with_mortal(ports, wiring, NEWEST) as pair:
        await pair.server.stop()

        async def time_is_over() -> bool:
            return pair.envoy.process.running and await pair.envoy.uptime() > TTL_SECONDS * 3

        await eventually(time_is_over, USE_SECONDS, "the end of a time to live")
        assert await running(pair) >= MORTAL
