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
from mesh.gateways import Gateways, MediaPolicies, PolicySettings, TransportRoutes
from mesh.objects import GROUP, MeshError, ObjectName, WeightedBackend
from mesh.routes import (
    PROTECTED_HEADERS,
    HeaderModifier,
    Match,
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

__all__ = [
    "GROUP",
    "PROTECTED_HEADERS",
    "Backend",
    "BackendTransport",
    "Backends",
    "Endpoint",
    "HeaderModifier",
    "Match",
    "Mesh",
    "MeshError",
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
    """How media may travel from a camera to the mesh."""

    AUTO = "auto"
    UDP = "udp"
    TCP = "tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One server. `address` is an IP address or a host name; `path` and `transport` are for RTSP: what
    is put before every path asked of it, and how media comes from it."""

    name: str
    address: str
    port: int
    path: str = ""
    transport: BackendTransport = BackendTransport.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """Servers that stand in for each other. A port of a Kubernetes Service is one too, named `service:port`, or
    `service:port/udp`.

    `leaving` are servers that still serve, for the sessions they have: new ones go to `endpoints`.
    """

    name: ObjectName
    endpoints: tuple[Endpoint, ...]
    leaving: tuple[Endpoint, ...] = ()


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
    )
    _check_references(objects)
    attachments, faults = attach(objects.gateways, objects.transport_routes, objects.policies)
    backend_policies, rtsp_faults = rtsp_policies(objects.routes, objects.backends, objects.policies)
    if faults or rtsp_faults:
        raise MeshError("; ".join(map(str, (*faults, *rtsp_faults))))
    return Mesh(
        **{item.name: getattr(objects, item.name) for item in fields(objects)},
        attachments=attachments,
        backend_policies=backend_policies,
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
            _check_backends(f"route {route.name}, rule {rule.name}", rule.backends, objects.backends)
    for transport_route in objects.transport_routes.values():
        _check_backends(transport_route.label, transport_route.backends, objects.backends)


def _check_backends(owner: str, backends: Iterable[WeightedBackend], known: Backends) -> None:
    for weighted in backends:
        if weighted.backend not in known:
            raise MeshError(f"{owner}: no backend {weighted.backend}")
