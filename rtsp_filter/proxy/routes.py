"""The route table that the xDS client's state makes; only what changed is read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from rtsp_filter.proxy.cameras.trust import context_for
from rtsp_filter.resources.cluster_reading import Cluster
from rtsp_filter.resources.secret_reading import credentials_among, read_secret, users_among
from rtsp_filter.resources.users_reading import UserList
from rtsp_filter.routes.table import (
    HostTable,
    RouteTable,
    RouteTableError,
    read_assignment,
    read_cluster,
    read_virtual_hosts,
)
from rtsp_filter.rtsp import Credentials
from rtsp_filter.xds import ResourceRefusedError, XdsState

Read = TypeVar("Read")

_READERS: Mapping[type[Any], Callable[[Any], object]] = {
    route_pb2.RouteConfiguration: read_virtual_hosts,
    cluster_pb2.Cluster: read_cluster,
    endpoint_pb2.ClusterLoadAssignment: read_assignment,
    secret_pb2.Secret: read_secret,
}


def check(message: Any) -> None:
    """Refuse, by ResourceRefusedError, a resource that this proxy cannot honour."""
    try:
        read = _READERS[type(message)](message)
        if isinstance(read, Cluster) and read.tls is not None:
            context_for(read.tls)
    except RouteTableError as error:
        raise ResourceRefusedError(str(error)) from error
    except ValueError as error:
        raise ResourceRefusedError(f"cluster {message.name}: {error}") from error


class RouteView:
    """Follows the states of an xDS client; `table` is the latest.

    `usable` from the moment that the control plane has told everything once: what a later change has not told yet
    concerns nobody but that change.
    """

    def __init__(self) -> None:
        self.table = RouteTable()
        self.usable = False
        self._state = XdsState()
        self._secrets: Mapping[str, Credentials | UserList] = {}

    def update(self, state: XdsState) -> None:
        """Take over a new state, whose messages have all passed `check`."""
        old, self._state = self._state, state
        self.usable = self.usable or state.complete
        table = self.table
        configuration = state.route_configuration
        if configuration is not old.route_configuration:
            hosts = HostTable(() if configuration is None else read_virtual_hosts(configuration))
        else:
            hosts = table.hosts
        secrets = _renewed(self._secrets, old.secrets, state.secrets, read_secret)
        same, self._secrets = secrets is self._secrets, secrets
        self.table = RouteTable(
            hosts=hosts,
            clusters=_renewed(table.clusters, old.clusters, state.clusters, read_cluster),
            assignments=_renewed(table.assignments, old.assignments, state.assignments, read_assignment),
            credentials=table.credentials if same else credentials_among(secrets),
            users=table.users if same else users_among(secrets),
        )


def _renewed(
    known: Mapping[str, Read], old: Mapping[str, Any], new: Mapping[str, Any], read: Callable[[Any], Read]
) -> Mapping[str, Read]:
    """What `new` means: taken from `known` where a message is the very one of `old`."""
    if new is old:
        return known
    return {name: known[name] if old.get(name) is message else read(message) for name, message in new.items()}
