"""Which routes of RTSP have a canary: a backend that gets more of their sessions step by step, while it does well.

A canary is of a route's rules that send sessions to it and to others. It takes the percents of its steps, and the
others share the rest by their weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mesh.attachments import Fault, FieldPath
from mesh.gateways import Canary, MediaPolicies, MediaPolicy, TargetKind
from mesh.objects import ObjectName
from mesh.routes import Route, Rule

_BACKEND = ("spec", "canary", "backendRef", "name")

Canaries = Mapping[ObjectName, Canary]
"""The canary of each route that has one."""


def canaries(routes: Mapping[ObjectName, Route], policies: MediaPolicies) -> tuple[Canaries, tuple[Fault, ...]]:
    """The canaries of routes, and all that is wrong. Targets that are not there, or have two policies, are the business
    of others."""
    work = _Work(routes)
    for name in sorted(policies):
        canary = policies[name].settings.canary
        if canary is not None:
            work.take(policies[name], canary)
    return MappingProxyType(work.found), tuple(work.faults.values())


def is_split(rule: Rule, backend: ObjectName) -> bool:
    """Whether a rule sends sessions to `backend` and to others."""
    names = {weighted.backend for weighted in rule.backends}
    return backend in names and len(names) > 1


class _Work:
    def __init__(self, routes: Mapping[ObjectName, Route]) -> None:
        self._routes = routes
        self.found: dict[ObjectName, Canary] = {}
        self.faults: dict[tuple[ObjectName, FieldPath], Fault] = {}

    def take(self, policy: MediaPolicy, canary: Canary) -> None:
        """A policy's canary, for each route that it is for."""
        for index, target in enumerate(policy.targets):
            if target.kind is TargetKind.RTSP_ROUTE and target.name in self._routes:
                self._take(policy, canary, self._routes[target.name], ("spec", "targetRefs", index))

    def _take(self, policy: MediaPolicy, canary: Canary, route: Route, at: FieldPath) -> None:
        split = [rule for rule in route.rules if is_split(rule, canary.backend)]
        if not split:
            message = f"no rule of RTSPRoute {route.name} sends sessions to backend {canary.backend} and to another"
            self._fault(policy, _BACKEND, message)
        for rule in split:
            if not any(each.weight for each in rule.backends if each.backend != canary.backend):
                message = f"the other backends of its rule {rule.name} have weight 0: nobody would take the rest"
                self._fault(policy, at, f"RTSPRoute {route.name}: {message}")
        self.found[route.name] = canary

    def _fault(self, policy: MediaPolicy, path: FieldPath, message: str) -> None:
        fault = Fault(kind="MediaPolicy", name=policy.name, path=path, message=message)
        self.faults.setdefault((policy.name, path), fault)
