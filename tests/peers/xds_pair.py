"""A server of ours and a real Envoy that is connected to it, and what tests ask of such a pair."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tests.peers import envoy_dump
from tests.peers.envoy import NEWEST, OLDEST, Envoy, Wiring, running_envoy
from tests.peers.envoy_messages import assignment, eds_cluster, udp_listener
from tests.peers.eventually import eventually
from tests.peers.xds import Recorder, XdsServer
from xds_server.cache import ResourceCache
from xds_server.resources import Resource
from xds_server.subscription import XdsProtocol

# Envoy waits this long for what it was promised; a test that takes less has shown that it did not wait.
WARMING_SECONDS = 15.0
# Envoy acknowledges some milliseconds before it uses what it was sent, and a loaded machine stretches that.
USE_SECONDS = 5.0
VARIANTS = [(version, Wiring(protocol=protocol)) for version in (OLDEST, NEWEST) for protocol in XdsProtocol]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """`wiring` says how the two are connected."""

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

        differences: list[str] = []

        async def equal() -> bool:
            differences[:] = await self.differences()
            return not differences

        with suppress(AssertionError):  # what differs is said below
            await eventually(equal, USE_SECONDS, "equality")
        assert not differences, "\n".join(differences)

    async def differences(self, unknown: frozenset[envoy_dump.Key] = frozenset()) -> list[str]:
        """In words, what Envoy runs that the cache does not hold, and the other way round, but for `unknown` names."""
        shown, wanted = envoy_dump.read(await self.envoy.dump()), envoy_dump.wanted(self.cache)
        found = _differences(shown.contents, wanted.contents, unknown)
        if self.wiring.protocol is XdsProtocol.DELTA:  # in a state of the world the version is that of the whole
            found += _differences(shown.versions, wanted.versions, unknown)
        return found + [f"{key} warms" for key in shown.warming]


@asynccontextmanager
async def connected(
    port: int, wiring: Wiring, resources: Sequence[Resource] = (), *, version: str = NEWEST
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


def _differences(
    shown: dict[envoy_dump.Key, Any], wanted: dict[envoy_dump.Key, Any], unknown: frozenset[envoy_dump.Key]
) -> list[str]:
    keys = sorted((shown.keys() | wanted.keys()) - unknown)
    pairs = {key: (shown.get(key), wanted.get(key)) for key in keys}
    return [f"{key} runs: {runs}, should: {should}" for key, (runs, should) in pairs.items() if runs != should]
