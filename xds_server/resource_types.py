"""The table of what is known of each resource type.

Everything that the protocol says of one particular type is a column of `ResourceType`; the subscription code knows no
type by name. A type that has no row is served by name alone, after all others, on the aggregated service.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xds_server.references import (
    ENDPOINTS,
    EXTENSIONS,
    ROUTES,
    SECRETS,
    TYPE_URL_PREFIX,
    VIRTUAL_HOSTS,
    Reference,
    no_references,
    references_of_cluster,
    references_of_listener,
    references_of_route,
    references_of_scope,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeService:
    """The gRPC service that serves one type alone. The names of its methods; `stream` is the state of the world."""

    name: str
    delta: str
    stream: str | None
    fetch: str | None


def _service(name: str, plural: str) -> TypeService:
    return TypeService(
        name=f"envoy.service.{name}", delta=f"Delta{plural}", stream=f"Stream{plural}", fetch=f"Fetch{plural}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType:
    """One row: how resources of a type are named, ordered and sent.

    type_url: with its `type.googleapis.com/`.
    short_name: for people and metrics.
    push_order: lower goes first on a stream that carries several types (make before break).
    service: the service of this type alone; None for types that have none.
    full_state: a state-of-the-world response carries every resource, so leaving one out removes it.
    legacy_wildcard: a client that never named a resource of this type means all of them.
    referenced: others point at these, so they arrive before the others and leave after them.
    repeated: sent again, changed or not, behind a changed resource that points at them: its receiver waits for them.
    acknowledged_warm: clients acknowledge these once they are ready for use, so what points at them waits for that.
    by_alias: clients ask for these by an alias, and what is missing is answered with that alias and no resource (VHDS).
    name_field: the message's field that is the resource's name.
    references: what a message of this type points at.
    """

    type_url: str
    short_name: str
    push_order: int
    service: TypeService | None = None
    full_state: bool = False
    legacy_wildcard: bool = False
    referenced: bool = False
    repeated: bool = False
    acknowledged_warm: bool = False
    by_alias: bool = False
    name_field: str = "name"
    references: Callable[[Any], tuple[Reference, ...]] = no_references


CLUSTER = ResourceType(
    type_url=TYPE_URL_PREFIX + "envoy.config.cluster.v3.Cluster",
    short_name="cds",
    push_order=0,
    service=_service("cluster.v3.ClusterDiscoveryService", "Clusters"),
    full_state=True,
    legacy_wildcard=True,
    referenced=True,
    acknowledged_warm=True,
    references=references_of_cluster,
)
ENDPOINT = ResourceType(
    type_url=ENDPOINTS,
    short_name="eds",
    push_order=1,
    service=_service("endpoint.v3.EndpointDiscoveryService", "Endpoints"),
    referenced=True,
    repeated=True,
    name_field="cluster_name",
)
SECRET = ResourceType(
    type_url=SECRETS,
    short_name="sds",
    push_order=2,
    service=_service("secret.v3.SecretDiscoveryService", "Secrets"),
    referenced=True,
)
EXTENSION = ResourceType(
    type_url=EXTENSIONS,
    short_name="ecds",
    push_order=3,
    service=_service("extension.v3.ExtensionConfigDiscoveryService", "ExtensionConfigs"),
    referenced=True,
)
LISTENER = ResourceType(
    type_url=TYPE_URL_PREFIX + "envoy.config.listener.v3.Listener",
    short_name="lds",
    push_order=4,
    service=_service("listener.v3.ListenerDiscoveryService", "Listeners"),
    full_state=True,
    legacy_wildcard=True,
    references=references_of_listener,
)
SCOPED_ROUTE = ResourceType(
    type_url=TYPE_URL_PREFIX + "envoy.config.route.v3.ScopedRouteConfiguration",
    short_name="srds",
    push_order=5,
    service=_service("route.v3.ScopedRoutesDiscoveryService", "ScopedRoutes"),
    full_state=True,
    legacy_wildcard=True,
    references=references_of_scope,
)
ROUTE = ResourceType(
    type_url=ROUTES,
    short_name="rds",
    push_order=6,
    service=_service("route.v3.RouteDiscoveryService", "Routes"),
    repeated=True,
    references=references_of_route,
)
VIRTUAL_HOST = ResourceType(
    type_url=VIRTUAL_HOSTS,
    short_name="vhds",
    push_order=7,
    service=TypeService(
        name="envoy.service.route.v3.VirtualHostDiscoveryService", delta="DeltaVirtualHosts", stream=None, fetch=None
    ),
    repeated=True,
    by_alias=True,
)
RUNTIME = ResourceType(
    type_url=TYPE_URL_PREFIX + "envoy.service.runtime.v3.Runtime",
    short_name="rtds",
    push_order=8,
    service=_service("runtime.v3.RuntimeDiscoveryService", "Runtime"),
)

RESOURCE_TYPES = {
    kind.type_url: kind
    for kind in (CLUSTER, ENDPOINT, SECRET, EXTENSION, LISTENER, SCOPED_ROUTE, ROUTE, VIRTUAL_HOST, RUNTIME)
}
_LAST = max(kind.push_order for kind in RESOURCE_TYPES.values()) + 1


def resource_type(type_url: str) -> ResourceType:
    """The row of a type; one that the table lacks is served by name only, after the others."""
    known = RESOURCE_TYPES.get(type_url)
    return known or ResourceType(type_url=type_url, short_name=type_url.rpartition(".")[2], push_order=_LAST)
