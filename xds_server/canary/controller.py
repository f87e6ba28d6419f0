"""All canaries of a mesh: what is measured goes in, steps come out, and the mesh as it then is.

A restart forgets how far a canary was: it begins again at its first step, the one that most sessions are safe from.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mesh.canaries import is_split
from mesh.gateways import Canary
from mesh.model import Mesh
from mesh.objects import ObjectName
from mesh.routes import Route
from xds_server.canary.evidence import Evidence
from xds_server.canary.rollout import Rollout, Step
from xds_server.canary.weights import sampled, weighted

MAX_HISTORY = 64
"""Steps of a route's canaries that are remembered: a few whole rollouts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteStep:
    """A step of the canary `backend` of `route`."""

    route: ObjectName
    backend: ObjectName
    step: Step


class CanaryController:
    """`now` is seconds of one clock that never goes back."""

    def __init__(self) -> None:
        self.rollouts: dict[ObjectName, Rollout] = {}
        """By route."""
        self._history: dict[ObjectName, deque[RouteStep]] = {}
        self._others: dict[ObjectName, frozenset[str]] = {}

    def history(self, route: ObjectName) -> Iterable[RouteStep]:
        """The latest steps of a route's canaries, the oldest first."""
        return tuple(self._history.get(route, ()))

    def update(self, mesh: Mesh, now: float) -> list[RouteStep]:
        """The canaries that documents name now. One that is the same goes on; another one begins."""
        before, self.rollouts = self.rollouts, {}
        self._history = {route: past for route, past in self._history.items() if route in mesh.canaries}
        self._others = {route: _others(mesh.routes[route], canary) for route, canary in mesh.canaries.items()}
        begun = []
        for route, canary in mesh.canaries.items():
            known = before.get(route)
            if known is None or known.canary != canary:
                known = Rollout(canary, now)
                begun.append(self._note(route, known, known.step))
            self.rollouts[route] = known
        return begun

    def measured(self, found: Mapping[str, Evidence], now: float) -> list[RouteStep]:
        """What was measured of backends, by name; the steps that follow from it."""
        for route, rollout in self.rollouts.items():
            for name in self._others[route] & found.keys():
                rollout.others_measured(found[name])
        return [
            self._note(route, rollout, step)
            for route, rollout in self.rollouts.items()
            if str(rollout.canary.backend) in found
            and (step := rollout.measured(found[str(rollout.canary.backend)], now)) is not None
        ]

    def tick(self, now: float) -> list[RouteStep]:
        """The steps that are due."""
        return [
            self._note(route, rollout, step)
            for route, rollout in self.rollouts.items()
            if (step := rollout.tick(now)) is not None
        ]

    def next_timer(self) -> float | None:
        """When `tick` is worth a call; None: not before something was measured."""
        return min((due for each in self.rollouts.values() if (due := each.next_timer()) is not None), default=None)

    def applied(self, mesh: Mesh) -> Mesh:
        """The mesh with the weights of now, and with the mirrors that show what is lost."""
        if not self.rollouts:
            return mesh
        changed = {route: _as_it_is(mesh.routes[route], rollout) for route, rollout in self.rollouts.items()}
        return replace(mesh, routes={**mesh.routes, **changed})

    def _note(self, route: ObjectName, rollout: Rollout, step: Step) -> RouteStep:
        noted = RouteStep(route=route, backend=rollout.canary.backend, step=step)
        self._history.setdefault(route, deque(maxlen=MAX_HISTORY)).append(noted)
        return noted


def _others(route: Route, canary: Canary) -> frozenset[str]:
    """The backends that share a route's sessions with its canary."""
    split = (rule for rule in route.rules if is_split(rule, canary.backend))
    return frozenset(str(each.backend) for rule in split for each in rule.backends if each.backend != canary.backend)


def _as_it_is(route: Route, rollout: Rollout) -> Route:
    canary = rollout.canary
    route = weighted(route, canary.backend, rollout.step.percent)
    if rollout.running and canary.loss is not None:
        return sampled(route, canary.backend, canary.loss.sample_percent)
    return route
