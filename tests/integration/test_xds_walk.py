"""A real Envoy is led through random changes, cut streams and restarts, and ends with what the cache holds.

By default the walk is short and has the same seed every time; `make walk` takes longer ones with seeds of their own.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from random import Random

import pytest

from tests.peers import envoy_dump
from tests.peers.envoy import Wiring
from tests.peers.eventually import eventually
from tests.peers.ports import PortRange
from tests.peers.xds_pair import VARIANTS, Pair, connected
from tests.peers.xds_walk import Walk
from xds_server.subscription import ResourceStatus, SyncState

pytestmark = pytest.mark.integration

# Of walking, for each variant; settling and comparing come on top.
WALK_SECONDS = float(os.environ.get("MSM_WALK_SECONDS", "12"))
SEED = int(os.environ.get("MSM_WALK_SEED", "1"))
# Less than the 15 s for which Envoy waits for what it was promised: so waiting for nothing fails.
SETTLE_SECONDS = 10.0
# Steps between two comparisons.
LEG = 150
# The longest times that a step waits for an answer before the next one: bursts, and changes one by one.
PAUSES = (0.0, 0.002, 0.02, 0.05)
# How likely it is that after a step all streams are cut, or the server restarts; steps that it misses then.
CUTS, RESTARTS = 0.02, 0.01
MISSED = 5


class Walker:
    """Takes the steps, disturbs the streams, and compares."""

    def __init__(self, walk: Walk, pair: Pair) -> None:
        self.walk, self._pair = walk, pair
        self.steps = 0

    async def leg(self) -> None:
        """Some steps, among them cut streams and changes while the server is away; then Envoy must agree."""
        for _ in range(LEG):
            await self._step()
            if self.walk.random.random() < CUTS:
                self._pair.server.cut()
            if self.walk.random.random() < RESTARTS:
                await self._restart()
        await self.agree()

    async def agree(self) -> None:
        """Soon Envoy runs all that is good, and refuses what is bad with a reason."""

        wrong: list[str] = []

        async def agreed() -> bool:
            wrong[:] = await self._disagreements()
            return not wrong

        with suppress(AssertionError):  # what is wrong is said below
            await eventually(agreed, SETTLE_SECONDS, "agreement")
        assert not wrong, f"after {self.steps} steps:\n" + "\n".join(wrong)

    async def _disagreements(self) -> list[str]:
        """In words: what Envoy has not asked for or answered yet, refuses wrongly, or runs wrongly."""
        server = self._pair.server
        wrong = [f"not asked for: {key}" for key in server.not_asked_for()]
        wrong += [f"behind: {status}" for status in server.recorder.behind()]
        wrong += [f"refused: {status}" for status in server.recorder.statuses() if self._wrongly_refused(status)]
        return wrong + await self._pair.differences(self.walk.unknowable())

    async def _step(self) -> None:
        self.walk.step()
        self.steps += 1
        recorder = self._pair.recorder
        answers = recorder.answers
        with suppress(TimeoutError):
            await recorder.until(lambda: recorder.answers > answers, self.walk.random.choice(PAUSES))

    async def _restart(self) -> None:
        """At rest: what Envoy has of a response that it just refused the server alone knows, and would forget."""
        with suppress(AssertionError):
            await self._pair.server.settle(SETTLE_SECONDS)
        await self._pair.server.stop()
        for _ in range(self.walk.random.randint(0, MISSED)):
            await self._step()
        await self._pair.server.start()

    def _wrongly_refused(self, status: ResourceStatus) -> bool:
        bad = (status.type_url, status.name) in self.walk.bad()
        return status.state is SyncState.REJECTED and not (bad and status.error)


@pytest.mark.timeout(WALK_SECONDS + 60)
@pytest.mark.parametrize(("version", "wiring"), VARIANTS, ids=str)
async def test_after_a_random_walk_envoy_runs_what_the_cache_holds(
    ports: PortRange, version: str, wiring: Wiring
) -> None:
    print(f"MSM_WALK_SEED={SEED}")
    async with connected(ports.take(), wiring, version=version) as pair:
        walker = Walker(Walk(Random(SEED), pair.cache, wiring.source()), pair)
        ends = time.monotonic() + WALK_SECONDS
        while time.monotonic() < ends:
            await walker.leg()
        walker.walk.mend()
        await walker.agree()
        await nothing_drains(pair)
        await pair.assert_equal()
        print(f"{walker.steps} steps, {len(pair.recorder.proxies)} streams")
        await assert_never_waited_in_vain(pair)


async def nothing_drains(pair: Pair) -> None:
    """Wait until removed listeners have ended."""

    async def drained() -> bool:
        return not envoy_dump.read(await pair.envoy.dump()).draining

    await eventually(drained, SETTLE_SECONDS, "the end of removed listeners")


async def assert_never_waited_in_vain(pair: Pair) -> None:
    """And the walk was what it should be: Envoy refused something."""
    counts = await pair.envoy.stats("(update_rejected|init_fetch_timeout)$")
    assert sum(value for name, value in counts.items() if name.endswith("update_rejected")) > 0
    assert {name: value for name, value in counts.items() if name.endswith("init_fetch_timeout") and value} == {}
