"""Which route is behind which listener of which gateway, under which policy, and what does not fit together.

The rules are Gateway API's: a route attaches to the listeners of its parents that speak its protocol and take routes
from its namespace. UDP and TCP have nothing to tell routes apart by, so a listener has one route. Of policies the more
specific wins, field by field: that of the route before that of the listener before that of the gateway.

A `Fault` names the object and the field, as documents spell it, so that whoever read the object from a file can name
the line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from mesh.gateways import (
    Gateway,
    Gateways,
    Listener,
    MediaPolicies,
    MediaPolicy,
    ParentRef,
    PolicySettings,
    PolicyTarget,
    RouteNamespaces,
    SessionPolicy,
    TargetKind,
    TransportProtocol,
    TransportRoute,
    TransportRoutes,
)
from mesh.objects import ObjectName
from mesh.ports import PortBook
from mesh.session_policy import effective, unfit

FieldPath = tuple[str | int, ...]
_UNKNOWN = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that does not fit: the object, the field of its document, and one sentence."""

    kind: str
    name: ObjectName
    path: FieldPath
    message: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A listener that has a route, and how its sessions are treated."""

    gateway: Gateway
    listener: Listener
    route: TransportRoute
    policy: SessionPolicy


def attach(
    gateways: Gateways, transport_routes: TransportRoutes, policies: MediaPolicies
) -> tuple[tuple[Attachment, ...], tuple[Fault, ...]]:
    """Every attachment, by gateway and listener, and all that is wrong."""
    work = _Work(gateways, transport_routes, policies)
    faults = [*work.ports(), *work.targets(), *work.parents(), *work.policies()]
    return work.attachments, tuple(faults)


class _Work:
    def __init__(self, gateways: Gateways, routes: TransportRoutes, policies: MediaPolicies) -> None:
        self._gateways = gateways
        self._routes = routes
        self._policies = policies
        self._by_target: dict[PolicyTarget, MediaPolicy] = {}
        self._by_listener: dict[tuple[ObjectName, str], TransportRoute] = {}
        self.attachments: tuple[Attachment, ...] = ()

    def ports(self) -> Iterator[Fault]:
        """Listeners that would take each other's port."""
        book, unknown = PortBook(), PortBook()
        for name in sorted(self._gateways):
            gateway = self._gateways[name]
            for index, listener in enumerate(gateway.listeners):
                owner = f'listener "{listener.name}" of Gateway {name}'
                # Which addresses are meant where none are named is not known here; it is the same ones each time.
                taken, addresses = (book, gateway.addresses) if gateway.addresses else (unknown, (_UNKNOWN,))
                other = taken.take(listener.protocol, listener.port, addresses, owner)
                if other is not None:
                    message = f"{other} has {listener.protocol.value} port {listener.port} already"
                    yield _fault(gateway, ("spec", "listeners", index, "port"), message)

    def targets(self) -> Iterator[Fault]:
        """Policies for something that is not there, or that has a policy already."""
        for name in sorted(self._policies):
            policy = self._policies[name]
            for index, target in enumerate(policy.targets):
                at: FieldPath = ("spec", "targetRefs", index)
                missing = self._missing(target)
                other = self._by_target.setdefault(target, policy)
                if missing is not None:
                    yield _policy_fault(policy, (*at, missing[0]), missing[1])
                elif other is not policy:
                    yield _policy_fault(policy, at, f"MediaPolicy {other.name} has this target already")

    def parents(self) -> Iterator[Fault]:
        """Routes whose parents are not there, or that would share a listener."""
        for key in sorted(self._routes, key=lambda key: (key[0].value, key[1])):
            route = self._routes[key]
            for index, parent in enumerate(route.parents):
                yield from self._parent(route, parent, ("spec", "parentRefs", index))

    def policies(self) -> Iterator[Fault]:
        """Makes the attachments; faults of policies that their sessions cannot have."""
        found: dict[tuple[ObjectName, tuple[str, ...]], Fault] = {}
        attachments = []
        for gateway, listener in self._listeners():
            route = self._by_listener.get((gateway.name, listener.name))
            if route is None:
                continue
            settings, origin = self._settings(gateway, listener, route)
            policy = effective(listener.protocol, settings)
            attachments.append(Attachment(gateway=gateway, listener=listener, route=route, policy=policy))
            for field, path, message in unfit(policy, route):
                culprit = origin.get(field)
                if culprit is not None:
                    fault = _policy_fault(culprit, path, f"{route.label}: {message}")
                    found.setdefault((culprit.name, path), fault)
        self.attachments = tuple(attachments)
        yield from found.values()

    def _listeners(self) -> Iterator[tuple[Gateway, Listener]]:
        for name in sorted(self._gateways):
            for listener in self._gateways[name].listeners:
                yield self._gateways[name], listener

    def _missing(self, target: PolicyTarget) -> tuple[str, str] | None:
        """The field of a target that names nothing, and why. Those of RTSP are looked for where routes are known."""
        if target.kind.is_rtsp:
            return None
        if target.kind is not TargetKind.GATEWAY:
            known = (TransportProtocol(target.kind.value.removesuffix("Route")), target.name) in self._routes
            return None if known else ("name", f"there is no {target.kind.value} {target.name}")
        gateway = self._gateways.get(target.name)
        if gateway is None:
            return "name", f"there is no Gateway {target.name}"
        if target.listener is not None and target.listener not in _names(gateway):
            return "sectionName", _no_listener(gateway, target.listener)
        return None

    def _parent(self, route: TransportRoute, parent: ParentRef, at: FieldPath) -> Iterator[Fault]:
        gateway = self._gateways.get(parent.gateway)
        if gateway is None:
            yield _route_fault(route, (*at, "name"), f"there is no Gateway {parent.gateway}")
            return
        if parent.listener is not None and parent.listener not in _names(gateway):
            yield _route_fault(route, (*at, "sectionName"), _no_listener(gateway, parent.listener))
            return
        wanted = [listener for listener in gateway.listeners if _is_wanted(listener, parent)]
        fitting = [listener for listener in wanted if listener.protocol is route.protocol]
        allowed = [listener for listener in fitting if _takes(gateway, listener, route)]
        if not allowed:
            yield _route_fault(route, at, _why_none(gateway, route, wanted, fitting))
        for listener in allowed:
            other = self._by_listener.setdefault((gateway.name, listener.name), route)
            if other is not route:
                message = f'{other.label} has listener "{listener.name}" of Gateway {gateway.name} already'
                yield _route_fault(route, at, f"{message}, and {route.protocol.value} cannot tell two routes apart")

    def _settings(
        self, gateway: Gateway, listener: Listener, route: TransportRoute
    ) -> tuple[PolicySettings, Mapping[str, MediaPolicy]]:
        """What all policies for a listener's sessions say, and which of them says each field."""
        targets = (
            PolicyTarget(kind=TargetKind.GATEWAY, name=gateway.name),
            PolicyTarget(kind=TargetKind.GATEWAY, name=gateway.name, listener=listener.name),
            PolicyTarget(kind=TargetKind(route.kind), name=route.name),
        )
        origin: dict[str, MediaPolicy] = {}
        for policy in (self._by_target[target] for target in targets if target in self._by_target):
            said = (field.name for field in fields(policy.settings) if getattr(policy.settings, field.name) is not None)
            origin.update(dict.fromkeys(said, policy))
        return PolicySettings(**{name: getattr(policy.settings, name) for name, policy in origin.items()}), origin


def _names(gateway: Gateway) -> list[str]:
    return [listener.name for listener in gateway.listeners]


def _no_listener(gateway: Gateway, name: str) -> str:
    return f'Gateway {gateway.name} has no listener "{name}"; its listeners: {", ".join(_names(gateway))}'


def _is_wanted(listener: Listener, parent: ParentRef) -> bool:
    return parent.listener in (None, listener.name) and parent.port in (None, listener.port)


def _takes(gateway: Gateway, listener: Listener, route: TransportRoute) -> bool:
    return listener.namespaces is RouteNamespaces.ALL or gateway.name.namespace == route.name.namespace


def _why_none(gateway: Gateway, route: TransportRoute, wanted: list[Listener], fitting: list[Listener]) -> str:
    if not wanted:
        return f"Gateway {gateway.name} has no such listener"
    if not fitting:
        return f"the listener is not of protocol {route.protocol.value}, which a {route.kind} needs"
    return (
        f"Gateway {gateway.name} takes no routes from namespace {route.name.namespace}: its listeners need"
        " allowedRoutes: {namespaces: {from: All}}"
    )


def _fault(gateway: Gateway, path: FieldPath, message: str) -> Fault:
    return Fault(kind="Gateway", name=gateway.name, path=path, message=message)


def _route_fault(route: TransportRoute, path: FieldPath, message: str) -> Fault:
    return Fault(kind=route.kind, name=route.name, path=path, message=message)


def _policy_fault(policy: MediaPolicy, path: FieldPath, message: str) -> Fault:
    return Fault(kind="MediaPolicy", name=policy.name, path=path, message=message)
