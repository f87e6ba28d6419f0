"""Mesh → what RTSP proxies get over xDS: one RouteConfiguration, and clusters with their endpoints and secrets.

The routing language is Envoy's own, so one language serves Envoy and RTSP, and an RTSP proxy's routes are read with
the same tools. A compiler remembers what it made of each object and compiles again only what is no longer equal.

Envoy API: config.route.v3.RouteConfiguration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from envoy.config.route.v3 import route_pb2

from mesh.model import Mesh, ObjectName, Route
from xds_server.compile.clusters import PolicedBackend, compile_backend
from xds_server.compile.users import NamedUsers, compile_users
from xds_server.compile.virtual_hosts import CompiledRoute, compile_route, virtual_hosts

# The one RouteConfiguration that every RTSP proxy asks for.
ROUTE_CONFIGURATION = "rtsp"
_TYPE_URL = "type.googleapis.com/"

Object = TypeVar("Object", Route, PolicedBackend, NamedUsers)
Made = TypeVar("Made")


class Change(NamedTuple):
    """Messages that are new or changed, and (type URL, name) of those that are gone."""

    upsert: list[Any]
    remove: list[tuple[str, str]]


def compile_routes(mesh: Mesh) -> list[Any]:
    """All messages of a mesh: the RouteConfiguration, Clusters, ClusterLoadAssignments, Secrets."""
    return RouteCompiler().compile(mesh).upsert


class RouteCompiler:
    """Compiles one mesh after another, each at the cost of what changed since the one before."""

    def __init__(self) -> None:
        self._routes: _Memo[Route, CompiledRoute] = _Memo(compile_route)
        self._backends: _Memo[PolicedBackend, list[Any]] = _Memo(compile_backend)
        self._users: _Memo[NamedUsers, list[Any]] = _Memo(lambda named: [compile_users(named)])
        self._configuration: Any = None

    def compile(self, mesh: Mesh) -> Change:
        """What changed since the mesh before; everything, the first time."""
        change = Change([], [])
        for before, after in (*self._backends.update(_backends_of(mesh)), *self._users.update(_users_of(mesh))):
            gone = {_key(message) for message in before or ()} - {_key(message) for message in after or ()}
            change.remove.extend(sorted(gone))
            change.upsert.extend(after or ())
        if self._routes.update(mesh.routes) or self._configuration is None:
            self._configuration = self._compile_configuration()
            change.upsert.append(self._configuration)
        return change

    def _compile_configuration(self) -> Any:
        # Hosts are compared without their port: rtsp URLs often name 8554 and the like.
        configuration = route_pb2.RouteConfiguration(name=ROUTE_CONFIGURATION, ignore_port_in_host_matching=True)
        configuration.virtual_hosts.extend(virtual_hosts(self._routes.made()))
        return configuration


def _backends_of(mesh: Mesh) -> dict[ObjectName, PolicedBackend]:
    """The backends that routes name, with their policies: others are no business of RTSP proxies."""
    rules = [rule for route in mesh.routes.values() for rule in route.rules]
    named = {each.backend for rule in rules for each in rule.backends}
    named |= {mirror.backend for rule in rules for mirror in rule.mirrors}
    policies = mesh.backend_policies
    return {
        name: PolicedBackend(backend, policies.get(name)) for name, backend in mesh.backends.items() if name in named
    }


def _users_of(mesh: Mesh) -> dict[ObjectName, NamedUsers]:
    """The users that routes name."""
    named = {rule.users for route in mesh.routes.values() for rule in route.rules}
    return {name: NamedUsers(name, users) for name, users in mesh.users.items() if name in named}


class _Memo(Generic[Object, Made]):
    """What was made of each object, and of which one."""

    def __init__(self, make: Callable[[Object], Made]) -> None:
        self._make: Callable[[Object], Made] = make
        self._known: dict[ObjectName, tuple[Object, Made]] = {}

    def made(self) -> list[Made]:
        return [made for _, made in self._known.values()]

    def update(self, objects: Mapping[ObjectName, Object]) -> list[tuple[Made | None, Made | None]]:
        """Take over `objects`; returns what was made (before, now) of each that is not equal to before."""
        changes: list[tuple[Made | None, Made | None]] = [
            (self._known.pop(name)[1], None) for name in self._known.keys() - objects.keys()
        ]
        for name, value in objects.items():
            known = self._known.get(name)
            if known is None or known[0] != value:
                made = self._make(value)
                changes.append((known[1] if known is not None else None, made))
                self._known[name] = (value, made)
        return changes


def _key(message: Any) -> tuple[str, str]:
    """Type URL and name of a Cluster, ClusterLoadAssignment or Secret."""
    full_name = message.DESCRIPTOR.full_name
    return _TYPE_URL + full_name, message.cluster_name if hasattr(message, "cluster_name") else message.name
