"""The Mesh: what routes and backends exist, whatever they came from.

A source (files, Kubernetes, the command line) owns one `Slice` and replaces it whole. `merge` puts slices together;
an object belongs to the source that names it, so two sources that claim one object are an error, not a race.
Everything here is immutable: a Mesh can be handed to any thread, compared, and kept as "the last good one".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

# The group of our documents, and the name under which xDS metadata of ours is kept.
GROUP = "mediastreamingmesh.io"


class MeshError(Exception):
    """A mesh that cannot be built; the message names the objects at fault."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectName:
    """Namespace and name of an object, written `namespace/name`."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class PathMatchType(Enum):
    """How a path is compared (Gateway API, HTTPPathMatch.type)."""

    EXACT = "Exact"
    PATH_PREFIX = "PathPrefix"
    REGULAR_EXPRESSION = "RegularExpression"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMatch:
    """One path condition. `value` is a path, or an RE2 expression that must match the whole path."""

    type: PathMatchType
    value: str


class PathRewriteType(Enum):
    """How a path is changed on the way to the backend (Gateway API, HTTPPathModifier.type)."""

    REPLACE_FULL_PATH = "ReplaceFullPath"
    REPLACE_PREFIX_MATCH = "ReplacePrefixMatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRewrite:
    """A change of the path, before the endpoint's base path is put in front of it."""

    type: PathRewriteType
    value: str


class BackendTransport(Enum):
    """How media may travel from a camera to the mesh."""

    AUTO = "auto"
    UDP = "udp"
    TCP = "tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One RTSP server. `address` is an IP address or a host name; `path` is put before every path asked of it."""

    name: str
    address: str
    port: int
    path: str = ""
    transport: BackendTransport = BackendTransport.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """RTSP servers that stand in for each other. A port of a Kubernetes Service is one too, named `service:port`."""

    name: ObjectName
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedBackend:
    """A share of a rule's sessions: `weight` out of the sum of the rule's weights."""

    backend: ObjectName
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Any of `matches` sends a session to one of `backends`."""

    name: str
    matches: tuple[PathMatch, ...]
    backends: tuple[WeightedBackend, ...]
    rewrite: PathRewrite | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An RTSPRoute. No hostnames means any host."""

    name: ObjectName
    rules: tuple[Rule, ...]
    hostnames: tuple[str, ...] = ()


# Names to objects, read-only.
Routes = Mapping[ObjectName, Route]
Backends = Mapping[ObjectName, Backend]


def _no_routes() -> Routes:
    return MappingProxyType({})


def _no_backends() -> Backends:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What one source knows. `source` names it for people: "files", "command line"."""

    source: str
    routes: Routes = field(default_factory=_no_routes)
    backends: Backends = field(default_factory=_no_backends)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """All slices together. Every backend that a route names exists."""

    routes: Routes = field(default_factory=_no_routes)
    backends: Backends = field(default_factory=_no_backends)


def merge(slices: Iterable[Slice]) -> Mesh:
    """All slices as one Mesh.

    Raises MeshError when two slices claim one object or a route names a backend that none has.
    """
    routes: dict[ObjectName, Route] = {}
    backends: dict[ObjectName, Backend] = {}
    route_owners: dict[ObjectName, str] = {}
    backend_owners: dict[ObjectName, str] = {}
    for part in slices:
        _claim("route", part.routes, part.source, route_owners)
        _claim("backend", part.backends, part.source, backend_owners)
        routes.update(part.routes)
        backends.update(part.backends)
    for route in routes.values():
        _check_references(route, backends)
    return Mesh(routes=MappingProxyType(routes), backends=MappingProxyType(backends))


def _claim(kind: str, names: Iterable[ObjectName], source: str, owners: dict[ObjectName, str]) -> None:
    for name in names:
        owner = owners.setdefault(name, source)
        if owner != source:
            raise MeshError(f"{kind} {name} is defined by both {owner} and {source}")


def _check_references(route: Route, backends: Backends) -> None:
    for rule in route.rules:
        for weighted in rule.backends:
            if weighted.backend not in backends:
                raise MeshError(f"route {route.name}, rule {rule.name}: no backend {weighted.backend}")
