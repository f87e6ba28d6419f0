"""Which policy applies to each backend of RTSP: its own, and below it those of the routes that send sessions there.

A backend is one cluster, whoever uses it, so what a policy says of a route holds for the route's backends. The more
specific wins, field by field: the backend's own before that of a route. Two routes that want different things of one
backend are a fault, unless the backend's own policy settles it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Protocol

from mesh.attachments import Fault
from mesh.gateways import MediaPolicies, MediaPolicy, PolicySettings, PolicyTarget, ProbeProtocol, TargetKind
from mesh.objects import ObjectName, WeightedBackend

FieldPath = tuple[str | int, ...]
_ALGORITHM = ("spec", "balancing", "algorithm")
_PROBE = ("spec", "healthCheck")

# Where each setting is written.
_PLACES: Mapping[str, FieldPath] = {
    "algorithm": _ALGORITHM,
    "max_sessions": ("spec", "limits", "maxSessions"),
    "health_check": _PROBE,
    "ejection": ("spec", "ejection"),
    "on_backend_failure": ("spec", "session", "onBackendFailure"),
    "media_source": ("spec", "session", "mediaSource"),
}
_NOT_FOR_RTSP: Mapping[str, tuple[FieldPath, str]] = {
    "per_packet": (("spec", "balancing", "perPacket"), "a session of RTSP stays at its server"),
    "idle_timeout": (("spec", "session", "idleTimeout"), "RTSP has a session timeout of its own"),
    "max_duration": (("spec", "session", "maxDuration"), "sessions of RTSP have no maximum time"),
    "on_backend_change": (
        ("spec", "session", "onBackendChange"),
        "a session of RTSP leaves its server only when that fails",
    ),
    "access_log": (("spec", "accessLog"), "sessions of RTSP are in the RTSP proxy's own log"),
}


class _Rule(Protocol):
    @property
    def backends(self) -> tuple[WeightedBackend, ...]:
        """Where sessions go."""


class RTSPRoute(Protocol):
    """A route, as far as policies look at it."""

    @property
    def rules(self) -> Sequence[_Rule]:
        """Its rules."""


def rtsp_policies(
    routes: Mapping[ObjectName, RTSPRoute], backends: Mapping[ObjectName, object], policies: MediaPolicies
) -> tuple[Mapping[ObjectName, PolicySettings], tuple[Fault, ...]]:
    """What is said of each backend that anything is said of, and all that is wrong."""
    work = _Work(routes, backends)
    targets = [(policies[name], index) for name in sorted(policies) for index in range(len(policies[name].targets))]
    for kind in (TargetKind.BACKEND, TargetKind.RTSP_ROUTE):
        for policy, index in targets:
            if policy.targets[index].kind is kind:
                work.take(policy, index)
    return work.settings(), tuple(work.faults.values())


class _Work:
    def __init__(self, routes: Mapping[ObjectName, RTSPRoute], backends: Mapping[ObjectName, object]) -> None:
        self._routes = routes
        self._backends = backends
        self._said: dict[tuple[ObjectName, str], tuple[object, PolicyTarget]] = {}
        self.faults: dict[tuple[ObjectName, FieldPath], Fault] = {}

    def settings(self) -> Mapping[ObjectName, PolicySettings]:
        """What was said of each backend."""
        by_backend: dict[ObjectName, dict[str, object]] = {}
        for (backend, name), (value, _) in self._said.items():
            by_backend.setdefault(backend, {})[name] = value
        return MappingProxyType({name: PolicySettings(**said) for name, said in by_backend.items()})  # type: ignore[arg-type]

    def take(self, policy: MediaPolicy, index: int) -> None:
        """What a policy says of one of its targets; backends come before routes."""
        target = policy.targets[index]
        known: Mapping[ObjectName, object] = self._backends if target.kind is TargetKind.BACKEND else self._routes
        if target.name not in known:
            self._fault(policy, ("spec", "targetRefs", index, "name"), f"there is no {target.kind.value} {target.name}")
            return
        if policy.settings.canary is not None and target.kind is not TargetKind.RTSP_ROUTE:
            message = f"{target.kind.value} {target.name}: a canary is one of the backends of an RTSPRoute"
            self._fault(policy, ("spec", "canary"), message)
        for path, message in _unfit(policy.settings):
            self._fault(policy, path, f"{target.kind.value} {target.name}: {message}")
        for backend in self._backends_of(target):
            for name in _PLACES:
                self._say(policy, target, backend, name)

    def _backends_of(self, target: PolicyTarget) -> tuple[ObjectName, ...]:
        if target.kind is TargetKind.BACKEND:
            return (target.name,)
        rules = self._routes[target.name].rules
        return tuple(dict.fromkeys(weighted.backend for rule in rules for weighted in rule.backends))

    def _say(self, policy: MediaPolicy, target: PolicyTarget, backend: ObjectName, name: str) -> None:
        value = getattr(policy.settings, name)
        if value is None:
            return
        other, source = self._said.setdefault((backend, name), (value, target))
        if other != value and source.kind is TargetKind.RTSP_ROUTE:
            message = f"{source.kind.value} {source.name} wants something else of backend {backend}, which both use"
            self._fault(policy, _PLACES[name], f"{message}; give the backend a policy of its own")

    def _fault(self, policy: MediaPolicy, path: FieldPath, message: str) -> None:
        fault = Fault(kind="MediaPolicy", name=policy.name, path=path, message=message)
        self.faults.setdefault((policy.name, path), fault)


def _unfit(settings: PolicySettings) -> Iterator[tuple[FieldPath, str]]:
    """What makes no sense for RTSP."""
    for field in fields(settings):
        if field.name in _NOT_FOR_RTSP and getattr(settings, field.name) is not None:
            yield _NOT_FOR_RTSP[field.name]
    probe = settings.health_check
    if probe is not None and probe.protocol is ProbeProtocol.HTTP:
        yield (*_PROBE, "type"), "servers of RTSP are asked by RTSP or TCP"
    if probe is not None and probe.port is not None:
        yield (*_PROBE, "port"), "servers of RTSP are asked at the port that they serve"
