"""The Mesh: what routes and backends exist, whatever they came from.

A source (files, Kubernetes, the command line) owns one `Slice` and replaces it whole. `merge` puts slices together;
an object belongs to the source that names it, so two sources that claim one object are an error, not a race.
Everything here is immutable: a Mesh can be handed to any thread, compared, and kept as "the last good one".
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeVar

from mesh.attachments import Attachment, attach
from mesh.canaries import Canaries, canaries
from mesh.credentials import Credentials
from mesh.gateways import Gateways, MediaPolicies, PolicySettings, TransportRoutes
from mesh.objects import GROUP, MeshError, ObjectName, WeightedBackend
from mesh.routes import (
    PROTECTED_HEADERS,
    HeaderModifier,
    Match,
    Mirror,
    NamedMatch,
    PathMatch,
    PathMatchType,
    PathRewrite,
    PathRewriteType,
    Redirect,
    Retry,
    Route,
    RoutedMethod,
    Rule,
    TextMatchType,
)
from mesh.rtsp_policies import rtsp_policies
from mesh.users import Users

__all__ = [
    "GROUP",
    "PROTECTED_HEADERS",
    "Backend",
    "BackendTLS",
    "BackendTransport",
    "Backends",
    "Credentials",
    "Endpoint",
    "HeaderModifier",
    "Match",
    "Mesh",
    "MeshError",
    "Mirror",
    "NamedMatch",
    "ObjectName",
    "Objects",
    "PathMatch",
    "PathMatchType",
    "PathRewrite",
    "PathRewriteType",
    "Redirect",
    "Retry",
    "Route",
    "RoutedMethod",
    "Routes",
    "Rule",
    "Slice",
    "TextMatchType",
    "WeightedBackend",
    "merge",
]


class BackendTransport(Enum):
    """How media may travel from a camera to the mesh; HTTP: with all else, in RTSP over HTTP."""

    AUTO = "auto"
    UDP = "udp"
    TCP = "tcp"
    HTTP = "http"
    MULTICAST = "multicast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One server. `address` is an IP address or a host name; the rest is for RTSP: `path` is put before every path
    asked of it, `transport` is how media comes from it, `credentials` names what it is told where it asks for a
    password (empty: nothing)."""

    name: str
    address: str
    port: int
    path: str = ""
    transport: BackendTransport = BackendTransport.AUTO
    credentials: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendTLS:
    """Servers are spoken to by TLS, and prove to be `hostname`, a host name or IP address, by a certificate of one of
    `authorities` (PEM; None: those that the system of the RTSP proxy trusts)."""

    hostname: str
    authorities: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """Servers that stand in for each other. A port of a Kubernetes Service is one too, named `service:port`, or
    `service:port/udp`.

    `leaving` are servers that still serve, for the sessions they have: new ones go to `endpoints`. `credentials` are
    those that endpoints name. `tls` is None where servers are spoken to in the clear.
    """

    name: ObjectName
    endpoints: tuple[Endpoint, ...]
    leaving: tuple[Endpoint, ...] = ()
    credentials: tuple[Credentials, ...] = ()
    tls: BackendTLS | None = None


# Names to objects, read-only.
Routes = Mapping[ObjectName, Route]
Backends = Mapping[ObjectName, Backend]

Name = TypeVar("Name", bound=Hashable)
Object = TypeVar("Object")


def _none() -> Mapping[Any, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """Objects of all kinds, by name."""

    routes: Routes = field(default_factory=_none)
    backends: Backends = field(default_factory=_none)
    gateways: Gateways = field(default_factory=_none)
    transport_routes: TransportRoutes = field(default_factory=_none)
    policies: MediaPolicies = field(default_factory=_none)
    users: Mapping[ObjectName, Users] = field(default_factory=_none)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Objects):
    """What one source knows. `source` names it for people: "files", "command line"."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh(Objects):
    """All slices together. Every backend that a route names exists.

    `attachments` are the listeners of gateways that have a route, by gateway and listener.
    """

    attachments: tuple[Attachment, ...] = ()
    backend_policies: Mapping[ObjectName, PolicySettings] = field(default_factory=_none)
    """What policies say of backends of RTSP."""
    canaries: Canaries = field(default_factory=_none)
    """The canary of each RTSPRoute that has one."""


def merge(slices: Iterable[Slice]) -> Mesh:
    """All slices as one Mesh.

    Raises MeshError when two slices claim one object, a route names a backend that none has, or gateways, their routes
    and policies do not fit each other.
    """
    parts = tuple(slices)
    objects = Objects(
        routes=_joined("route", parts, lambda part: part.routes),
        backends=_joined("backend", parts, lambda part: part.backends),
        gateways=_joined("Gateway", parts, lambda part: part.gateways),
        transport_routes=_joined("route", parts, lambda part: part.transport_routes),
        policies=_joined("MediaPolicy", parts, lambda part: part.policies),
        users=_joined("AuthenticationFilter", parts, lambda part: part.users),
    )
    _check_references(objects)
    attachments, faults = attach(objects.gateways, objects.transport_routes, objects.policies)
    backend_policies, rtsp_faults = rtsp_policies(objects.routes, objects.backends, objects.policies)
    found_canaries, canary_faults = canaries(objects.routes, objects.policies)
    if faults or rtsp_faults or canary_faults:
        raise MeshError("; ".join(map(str, (*faults, *rtsp_faults, *canary_faults))))
    return Mesh(
        **{item.name: getattr(objects, item.name) for item in fields(objects)},
        attachments=attachments,
        backend_policies=backend_policies,
        canaries=found_canaries,
    )


def _joined(
    kind: str, parts: Iterable[Slice], objects_of: Callable[[Slice], Mapping[Name, Object]]
) -> Mapping[Name, Object]:
    owners: dict[Name, str] = {}
    joined: dict[Name, Object] = {}
    for part in parts:
        objects = objects_of(part)
        for name in objects:
            owner = owners.setdefault(name, part.source)
            if owner != part.source:
                raise MeshError(f"{kind} {_text(name)} is defined by both {owner} and {part.source}")
        joined.update(objects)
    return MappingProxyType(joined)


def _text(name: Hashable) -> str:
    return " ".join(str(getattr(part, "value", part)) for part in name) if isinstance(name, tuple) else str(name)


def _check_references(objects: Objects) -> None:
    for route in objects.routes.values():
        for rule in route.rules:
            _check_backends(f"route {route.name}, rule {rule.name}", (*rule.backends, *rule.mirrors), objects.backends)
            if rule.users is not None and rule.users not in objects.users:
                raise MeshError(f"route {route.name}, rule {rule.name}: no AuthenticationFilter {rule.users}")
    for transport_route in objects.transport_routes.values():
        _check_backends(transport_route.label, transport_route.backends, objects.backends)


def _check_backends(owner: str, backends: Iterable[WeightedBackend | Mirror], known: Backends) -> None:
    for each in backends:
        if each.backend not in known:
            raise MeshError(f"{owner}: no backend {each.backend}")
