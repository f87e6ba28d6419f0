"""The route table that the xDS client's state makes; only what changed is read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_pb2

from rtsp_filter.routing import (
    HostTable,
    RouteTable,
    RouteTableError,
    read_assignment,
    read_cluster,
    read_virtual_hosts,
)
from rtsp_filter.xds import ResourceRefusedError, XdsState

Read = TypeVar("Read")

_READERS: Mapping[type[Any], Callable[[Any], object]] = {
    route_pb2.RouteConfiguration: read_virtual_hosts,
    cluster_pb2.Cluster: read_cluster,
    endpoint_pb2.ClusterLoadAssignment: read_assignment,
}


def check(message: Any) -> None:
    """Refuse, by ResourceRefusedError, a resource that this proxy cannot honour."""
    try:
        _READERS[type(message)](message)
    except RouteTableError as error:
        raise ResourceRefusedError(str(error)) from error


class RouteView:
    """Follows the states of an xDS client; `table` is the latest.

    `usable` from the moment that the control plane has told everything once: what a later change has not told yet
    concerns nobody but that change.
    """

    def __init__(self) -> None:
        self.table = RouteTable()
        self.usable = False
        self._state = XdsState()

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
        self.table = RouteTable(
            hosts=hosts,
            clusters=_renewed(table.clusters, old.clusters, state.clusters, read_cluster),
            assignments=_renewed(table.assignments, old.assignments, state.assignments, read_assignment),
        )


def _renewed(
    known: Mapping[str, Read], old: Mapping[str, Any], new: Mapping[str, Any], read: Callable[[Any], Read]
) -> Mapping[str, Read]:
    """What `new` means: taken from `known` where a message is the very one of `old`."""
    if new is old:
        return known
    return {name: known[name] if old.get(name) is message else read(message) for name, message in new.items()}
