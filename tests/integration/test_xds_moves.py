"""Traffic goes on through a real Envoy while what carries it is replaced a hundred times.

What is promised: no datagram and no request of a client is lost by a change, and no change waits for endpoints. What is
not: an answer that is on its way while Envoy ends a session. It ends the sessions of a listener or cluster when that
itself changes, and those of an endpoint when it goes; the client's next datagram begins a new session.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.peers.envoy import Wiring
from tests.peers.envoy_messages import (
    CLUSTER,
    ENDPOINT,
    assignment,
    eds_cluster,
    http_listener,
    route,
    udp_listener,
)
from tests.peers.eventually import eventually
from tests.peers.ports import PortRange
from tests.peers.udp_numbers import Arrivals, NumberedFlow, backend, numbered_flow
from tests.peers.web import WebServer
from tests.peers.xds_pair import VARIANTS, WARMING_SECONDS, Pair, connected, slots
from xds_server.resources import Resource

pytestmark = [pytest.mark.integration, pytest.mark.parametrize(("version", "wiring"), VARIANTS, ids=str)]

MOVES = 100
# An Envoy that waits for endpoints in vain takes longer; a loaded machine does not.
MOVE_SECONDS = WARMING_SECONDS * 2 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A flow through listener "flow" at `port`, to cluster "cluster-0", to the first of two backends."""

    pair: Pair
    port: int
    flow: NumberedFlow
    backends: tuple[Arrivals, Arrivals]

    async def put(self, *messages: Any, to: Arrivals, remove: Sequence[tuple[str, str]] = ()) -> None:
        """One change; wait until Envoy has all of it and the flow, with answers, is where it should be."""
        resources = [Resource.of(message) for message in messages]
        self.pair.cache.update(upsert=resources, remove=remove)
        await self.pair.recorder.until(self.pair.recorder.has(*resources), MOVE_SECONDS)
        await to.until(self.flow.sent + 1, MOVE_SECONDS)
        await self.flow.answers.until(self.flow.sent + 1, MOVE_SECONDS)

    async def assert_nothing_lost(self) -> None:
        """Every datagram that was sent arrived at one of the backends, and once."""
        sent = range(1, self.flow.sent + 1)
        with suppress(AssertionError):  # what is missing is said below
            await eventually(self._arrived(len(sent)), MOVE_SECONDS, "arrival")
        arrived = [number for each in self.backends for number in each.numbers]
        assert sorted(set(sent) - set(arrived)) == []
        assert len(arrived) == len(set(arrived))

    async def sessions(self) -> int:
        """How many Envoy has begun."""
        return (await self.pair.envoy.stats("^udp.flow.downstream_sess_total$"))["udp.flow.downstream_sess_total"]

    def _arrived(self, count: int) -> Callable[[], Awaitable[bool]]:
        async def all_arrived() -> bool:
            return sum(len(each.numbers) for each in self.backends) >= count

        return all_arrived


@asynccontextmanager
async def flowing(ports: PortRange, wiring: Wiring, version: str) -> AsyncIterator[Scene]:
    port, source = ports.take(), wiring.source()
    async with backend() as one, backend() as two:
        messages = udp_listener("flow", "cluster-0", port=port), *cluster("cluster-0", source, one)
        first = [Resource.of(message) for message in messages]
        async with connected(ports.take(), wiring, first, version=version) as pair:
            async with numbered_flow(port) as flow:
                await flow.answers.until(1)
                scene = Scene(pair=pair, port=port, flow=flow, backends=(one, two))
                yield scene
            await scene.assert_nothing_lost()


def cluster(name: str, source: Any, to: Arrivals) -> tuple[Any, Any]:
    return eds_cluster(name, source), assignment(name, to.port)


async def test_no_datagram_is_lost_while_a_listener_moves_to_new_clusters_and_the_old_ones_go(
    ports: PortRange, version: str, wiring: Wiring
) -> None:
    async with flowing(ports, wiring, version) as scene:
        for move in range(1, MOVES + 1):
            name, to = f"cluster-{move}", scene.backends[move % 2]
            old = f"cluster-{move - 1}"
            moved = udp_listener("flow", name, port=scene.port)
            gone = (CLUSTER, old), (ENDPOINT, old)
            await scene.put(moved, *cluster(name, wiring.source(), to), to=to, remove=gone)
        assert await scene.sessions() == MOVES + 1
        await scene.pair.assert_equal()


async def test_no_datagram_is_lost_while_a_cluster_is_replaced_under_its_name(
    ports: PortRange, version: str, wiring: Wiring
) -> None:
    async with flowing(ports, wiring, version) as scene:
        for move in range(1, MOVES + 1):
            to = scene.backends[move % 2]
            changed = eds_cluster("cluster-0", wiring.source(), connect_timeout=1 + move)
            await scene.put(changed, assignment("cluster-0", to.port), to=to)
        await scene.pair.assert_equal()


async def test_no_datagram_is_lost_while_endpoints_move(ports: PortRange, version: str, wiring: Wiring) -> None:
    async with flowing(ports, wiring, version) as scene:
        for move in range(1, MOVES + 1):
            to = scene.backends[move % 2]
            await scene.put(assignment("cluster-0", to.port), to=to)
        assert await scene.sessions() == MOVES + 1


async def test_changes_of_others_end_no_session(ports: PortRange, version: str, wiring: Wiring) -> None:
    """Endpoints that join the flow's own cluster are others too: a session stays where it is."""
    async with flowing(ports, wiring, version) as scene:
        one, two = scene.backends
        for move in range(1, MOVES + 1):
            others = slots(wiring, f"other-{move % 3}")
            gone = [(each.type_url, each.name) for each in slots(wiring, f"other-{(move + 1) % 3}")]
            scene.pair.cache.update(upsert=others, remove=gone)
            joined = (one.port, two.port) if move % 2 else (one.port,)
            await scene.put(assignment("cluster-0", *joined), to=one)
        assert await scene.sessions() == 1
        assert two.numbers == []


@dataclass(slots=True)
class Browser:
    """Asks one URL again and again, over kept connections and new ones in turn. `outcomes`: names, or status codes."""

    url: str
    outcomes: list[str] = field(default_factory=list)
    _answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Ask until cancelled."""
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            for connection in itertools.cycle(("keep-alive", "close")):
                answer = await client.get(self.url, headers={"connection": connection})
                self.outcomes.append(answer.text if answer.is_success else str(answer.status_code))
                self._answered.set()

    async def until(self, name: str) -> None:
        """Wait until a request that begins from now on is answered by `name`."""
        begun = len(self.outcomes) + 1
        async with asyncio.timeout(MOVE_SECONDS):
            while name not in self.outcomes[begun:]:
                self._answered.clear()
                await self._answered.wait()


@contextmanager
def web_servers() -> Iterator[tuple[WebServer, WebServer]]:
    with WebServer("one") as one, WebServer("two") as two:
        yield one, two


@asynccontextmanager
async def browsing(url: str) -> AsyncIterator[Browser]:
    browser = Browser(url)
    task = asyncio.create_task(browser.run(), name="browser")
    try:
        yield browser
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_no_request_fails_while_a_route_moves_to_new_clusters_and_the_old_ones_go(
    ports: PortRange, version: str, wiring: Wiring
) -> None:
    port, source = ports.take(), wiring.source()
    with web_servers() as servers:

        def cluster_of(move: int) -> list[Any]:
            name, to = f"cluster-{move}", servers[move % 2]
            return [eds_cluster(name, source), assignment(name, to.port, udp=False), route("web", name)]

        first = [Resource.of(message) for message in (http_listener("web", "web", source, port=port), *cluster_of(0))]
        async with connected(ports.take(), wiring, first, version=version) as pair:
            async with browsing(f"http://127.0.0.1:{port}/") as browser:
                await browser.until("one")
                for move in range(1, MOVES + 1):
                    old = f"cluster-{move - 1}"
                    moved = [Resource.of(message) for message in cluster_of(move)]
                    pair.cache.update(upsert=moved, remove=[(CLUSTER, old), (ENDPOINT, old)])
                    await pair.recorder.until(pair.recorder.has(*moved), MOVE_SECONDS)
                    await browser.until(servers[move % 2].name)
                assert set(browser.outcomes) == {"one", "two"}
            await pair.assert_equal()
