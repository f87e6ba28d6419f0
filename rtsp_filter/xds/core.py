"""What an RTSP proxy wants over xDS, pure: one RouteConfiguration, all clusters, their endpoints, and their secrets.

The names of the endpoints follow the clusters: every cluster of type EDS is followed by a subscription to its
assignment. Those of the secrets follow the endpoints and the routes. The state is a value: each change makes a new
`XdsState`, and what did not change is shared with the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from mesh.objects import GROUP
from rtsp_filter.resources.users_reading import users_names
from rtsp_filter.xds.delta import WILDCARD, Change, DeltaClient, ResourceKind

_TYPE_URL = "type.googleapis.com/"

CLUSTER = ResourceKind(
    type_url=_TYPE_URL + "envoy.config.cluster.v3.Cluster",
    message=cluster_pb2.Cluster,
)
ENDPOINT = ResourceKind(
    type_url=_TYPE_URL + "envoy.config.endpoint.v3.ClusterLoadAssignment",
    message=endpoint_pb2.ClusterLoadAssignment,
    name_field="cluster_name",
)
SECRET = ResourceKind(
    type_url=_TYPE_URL + "envoy.extensions.transport_sockets.tls.v3.Secret",
    message=secret_pb2.Secret,
)
ROUTE = ResourceKind(
    type_url=_TYPE_URL + "envoy.config.route.v3.RouteConfiguration",
    message=route_pb2.RouteConfiguration,
)
_KINDS = (CLUSTER, ENDPOINT, SECRET, ROUTE)


def _empty() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class XdsState:
    """The last good state that the control plane gave us.

    route_configuration: an envoy.config.route.v3.RouteConfiguration, or None while there is none.
    clusters: envoy.config.cluster.v3.Cluster by name.
    assignments: envoy.config.endpoint.v3.ClusterLoadAssignment by name (the cluster's service name, or its own).
    secrets: envoy.extensions.transport_sockets.tls.v3.Secret by name.
    complete: the control plane has told us of everything that we asked for.
    """

    route_configuration: Any | None = None
    clusters: Mapping[str, Any] = field(default_factory=_empty)
    assignments: Mapping[str, Any] = field(default_factory=_empty)
    secrets: Mapping[str, Any] = field(default_factory=_empty, repr=False)
    complete: bool = False


def assignment_name(cluster: Any) -> str | None:
    """The name of the ClusterLoadAssignment of a cluster; None when its endpoints are not in EDS."""
    if cluster.type != cluster_pb2.Cluster.EDS:
        return None
    return str(cluster.eds_cluster_config.service_name or cluster.name)


def _secrets_of_endpoints(assignment: Any) -> Iterator[str]:
    """The secrets with which the endpoints of a ClusterLoadAssignment are told a password."""
    for locality in assignment.endpoints:
        for lb_endpoint in locality.lb_endpoints:
            facts = lb_endpoint.metadata.filter_metadata
            if GROUP in facts and "credentials" in facts[GROUP].fields:
                yield facts[GROUP].fields["credentials"].string_value


def _secrets_of_cluster(cluster: Any) -> Iterator[str]:
    return _secrets_of_endpoints(cluster.load_assignment)


_SECRETS_OF: Mapping[str, Callable[[Any], Iterator[str]]] = {
    CLUSTER.type_url: _secrets_of_cluster,
    ENDPOINT.type_url: _secrets_of_endpoints,
    ROUTE.type_url: users_names,
}
"""The names of the secrets that a message of a type needs."""


def accept_everything(message: Any) -> None:
    """A check that refuses nothing."""


class XdsCore:
    """One incremental ADS stream after another, and the state that comes of it.

    route_name: the RouteConfiguration to ask for.
    check: called with every new message; raises ResourceRefusedError for one that cannot be used.
    """

    def __init__(
        self,
        *,
        node_id: str,
        cluster: str,
        route_name: str,
        check: Callable[[Any], None] = accept_everything,
    ) -> None:
        self._client = DeltaClient(node_id=node_id, cluster=cluster, kinds=_KINDS, check=check)
        self._client.set_names(CLUSTER, [WILDCARD])
        self._client.set_names(ROUTE, [route_name])
        self._route_name = route_name
        self._secrets: dict[tuple[str, str], frozenset[str]] = {}
        """Those that each resource needs, by type and name; most need none, and are not here."""
        self._state = XdsState()

    @property
    def state(self) -> XdsState:
        """The latest value."""
        return self._state

    def connect(self) -> list[Any]:
        """The first requests on a new stream."""
        return self._client.connect()

    def receive(self, response: Any) -> list[Any]:
        """Take a response; returns the requests to send. `state` is another object when it changed something."""
        step = self._client.receive(response)
        requests = list(step.requests)
        changed = {step.change.kind.type_url} if step.change else set()
        needs_changed = step.change is not None and self._note_secrets(step.change)
        if CLUSTER.type_url in changed:
            followed, gone = self._client.set_names(ENDPOINT, self._assignment_names())
            requests += followed
            changed |= {ENDPOINT.type_url} if gone else set()
            for name in gone:
                needs_changed |= self._need(ENDPOINT.type_url, name, frozenset())
        if needs_changed:
            followed, gone = self._client.set_names(SECRET, frozenset().union(*self._secrets.values()))
            requests += followed
            changed |= {SECRET.type_url} if gone else set()
        self._renew(changed)
        return requests

    def _assignment_names(self) -> set[str]:
        names = (assignment_name(message) for message in self._client.messages(CLUSTER).values())
        return {name for name in names if name is not None}

    def _note_secrets(self, change: Change) -> bool:
        """Keep in mind which secrets are needed now; whether they are others than before."""
        type_url = change.kind.type_url
        names_of = _SECRETS_OF.get(type_url)
        if names_of is None:
            return False
        gone = [self._need(type_url, name, frozenset()) for name in change.removed]
        new = [self._need(type_url, name, frozenset(names_of(each))) for name, each in change.changed.items()]
        return any(gone) or any(new)

    def _need(self, type_url: str, name: str, needed: frozenset[str]) -> bool:
        """What a resource needs now; whether that is new."""
        key = type_url, name
        before = self._secrets.pop(key, frozenset())
        if needed:
            self._secrets[key] = needed
        return before != needed

    def _renew(self, changed: set[str]) -> None:
        state = self._state
        if CLUSTER.type_url in changed:
            state = replace(state, clusters=MappingProxyType(self._client.messages(CLUSTER)))
        if ENDPOINT.type_url in changed:
            state = replace(state, assignments=MappingProxyType(self._client.messages(ENDPOINT)))
        if SECRET.type_url in changed:
            state = replace(state, secrets=MappingProxyType(self._client.messages(SECRET)))
        if ROUTE.type_url in changed:
            configuration = self._client.messages(ROUTE).get(self._route_name)
            state = replace(state, route_configuration=configuration)
        complete = all(self._client.complete(kind) for kind in _KINDS)
        if complete != state.complete:
            state = replace(state, complete=complete)
        self._state = state
