"""One canary's way: step by step up while it does well, down to nothing once it does not.

A step is over when it has lasted its interval and enough was measured in it. A canary is judged with everything that is
measured, so it is rolled back at once. What it refuses is compared with what the other backends of its route refuse, in
this step and in the one before, since in the last one they may have no sessions. The end, good or bad, is final:
another document begins another rollout.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mesh.gateways import Canary
from xds_server.canary.evidence import NOTHING, Evidence, what_lacks, why_bad


class Phase(Enum):
    """How far a canary is; the values are for people."""

    STEPPING = "stepping"
    PROMOTED = "promoted"
    """It has passed its last step, and keeps that share."""
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A change: from `at` (seconds of the clock that `now` is of) on, the canary has `percent` of the sessions.

    `evidence` is what was measured in the step before.
    """

    at: float
    phase: Phase
    percent: int
    reason: str
    evidence: Evidence = NOTHING


class Rollout:
    """One canary, from its first step on. `now` is seconds of one clock that never goes back."""

    def __init__(self, canary: Canary, now: float) -> None:
        self.canary = canary
        self.evidence = Evidence()
        self.step = Step(at=now, phase=Phase.STEPPING, percent=canary.steps[0], reason="a new canary begins")
        self._number = 0
        self._others = self._others_before = NOTHING

    @property
    def running(self) -> bool:
        """Whether it is still judged."""
        return self.step.phase is Phase.STEPPING

    @property
    def due(self) -> float:
        """When the step has lasted its interval."""
        return self.step.at + self.canary.interval

    @property
    def waits_for(self) -> str | None:
        """What has to be measured before the step may be over; None: nothing."""
        return what_lacks(self.canary, self.evidence) if self.running else None

    def measured(self, found: Evidence, now: float) -> Step | None:
        """Something more was measured; the step that follows from it, if any."""
        if not self.running:
            return None
        self.evidence += found
        bad = why_bad(self.canary, self.evidence, self._others + self._others_before)
        if bad is not None:
            return self._go(now, Phase.ROLLED_BACK, 0, bad)
        return self.tick(now)

    def others_measured(self, found: Evidence) -> None:
        """Something more was measured of the other backends of its route."""
        self._others += found

    def tick(self, now: float) -> Step | None:
        """The step that is due, if any."""
        if not self.running or now < self.due or self.waits_for is not None:
            return None
        self._number += 1
        reason = f"{self.evidence.failed} of {self.evidence.setups} set-ups failed"
        if self.canary.loss is not None:
            reason += f", {self.evidence.lost} of {self.evidence.packets} packets were lost"
        if self._number == len(self.canary.steps):
            return self._go(now, Phase.PROMOTED, self.step.percent, reason)
        return self._go(now, Phase.STEPPING, self.canary.steps[self._number], reason)

    def next_timer(self) -> float | None:
        """When `tick` is worth a call; None: not before something was measured."""
        return self.due if self.running and self.waits_for is None else None

    def _go(self, now: float, phase: Phase, percent: int, reason: str) -> Step:
        self.step = Step(at=now, phase=phase, percent=percent, reason=reason, evidence=self.evidence)
        self.evidence = Evidence()
        self._others, self._others_before = NOTHING, self._others
        return self.step
