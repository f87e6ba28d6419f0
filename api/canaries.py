"""Canaries: models of the API, and how they come from the control plane's state."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import Field

from api.models import ApiModel
from mesh.objects import ObjectName
from xds_server.canary import Evidence, Phase, RouteStep
from xds_server.canary.rollout import Rollout
from xds_server.control_plane import ControlPlane


class CanaryPhase(StrEnum):
    """How far a canary is."""

    STEPPING = "stepping"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"


_PHASES = {
    Phase.STEPPING: CanaryPhase.STEPPING,
    Phase.PROMOTED: CanaryPhase.PROMOTED,
    Phase.ROLLED_BACK: CanaryPhase.ROLLED_BACK,
}


class Measured(ApiModel):
    """What was measured of a canary in one step."""

    setups: int = Field(description="Requests that begin sessions, and sessions that found no endpoint.")
    failed_setups: int = Field(description="Those that failed.")
    refused_setups: int = Field(description="Those that were refused: they count where the others are refused less.")
    packets: int = Field(description="RTP packets that sampled sessions should have had.")
    lost_packets: int = Field(description="Those that did not arrive.")


class CanaryStep(ApiModel):
    """A change of a canary's share."""

    at: datetime = Field(description="When it was.")
    backend: str = Field(description="The canary, namespace/name.")
    phase: CanaryPhase = Field(description="stepping; promoted: keeps its last share; rolled_back: gets no sessions.")
    percent: int = Field(description="Its percent of the sessions from then on.")
    reason: str = Field(description="Why it was.")
    measured: Measured = Field(description="What was measured in the step before.")


class Canary(ApiModel):
    """A backend of a route whose share of the sessions follows what is measured of it."""

    route: str = Field(description="The route, namespace/name.")
    backend: str = Field(description="The canary, namespace/name.")
    phase: CanaryPhase = Field(description="stepping; promoted: keeps its last share; rolled_back: gets no sessions.")
    percent: int = Field(description="Its percent of the sessions now.")
    steps: tuple[int, ...] = Field(description="The percents that it goes through.")
    measured: Measured = Field(description="What was measured since the last change.")
    waits_for: str | None = Field(description="What has to be measured before the step may be over; null: nothing.")
    history: tuple[CanaryStep, ...] = Field(description="The latest changes, the oldest first; 64 at most.")


def canaries(plane: ControlPlane) -> list[Canary]:
    """All canaries, by route."""
    offset, known = time.time() - time.monotonic(), plane.measured.canaries.rollouts
    return [
        _canary(plane, route, known[route], lambda at: datetime.fromtimestamp(at + offset, UTC))
        for route in sorted(known)
    ]


def _canary(plane: ControlPlane, route: ObjectName, rollout: Rollout, time_of: Callable[[float], datetime]) -> Canary:
    return Canary(
        route=str(route),
        backend=str(rollout.canary.backend),
        phase=_PHASES[rollout.step.phase],
        percent=rollout.step.percent,
        steps=rollout.canary.steps,
        measured=_measured(rollout.evidence),
        waits_for=rollout.waits_for,
        history=tuple(_step(each, time_of) for each in plane.measured.canaries.history(route)),
    )


def _step(each: RouteStep, time_of: Callable[[float], datetime]) -> CanaryStep:
    return CanaryStep(
        at=time_of(each.step.at),
        backend=str(each.backend),
        phase=_PHASES[each.step.phase],
        percent=each.step.percent,
        reason=each.step.reason,
        measured=_measured(each.step.evidence),
    )


def _measured(evidence: Evidence) -> Measured:
    return Measured(
        setups=evidence.setups,
        failed_setups=evidence.failed,
        refused_setups=evidence.refused,
        packets=evidence.packets,
        lost_packets=evidence.lost,
    )
