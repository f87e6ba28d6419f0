"""What the benchmark serves: many small resources of one type. The same that `programs/` makes for the peer, in Go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2

from xds_server.resources import Resource

BY_NAME = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
"""Clients ask for this type by name, each for its own."""
BY_WILDCARD = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
"""Clients ask for all of this type."""
_FIRST_PORT = 10_000


@dataclass(slots=True)
class Content:
    """Resources of one type. The port in a resource tells how often it has changed."""

    type_url: str
    _revisions: dict[int, int] = field(default_factory=dict)

    def first(self, count: int) -> list[Resource]:
        """As many resources as there shall be."""
        return [self._resource(index) for index in range(count)]

    def change(self, index: int) -> Resource:
        """Another content for one of them."""
        self._revisions[index] = self._revisions.get(index, 0) + 1
        return self._resource(index)

    def _resource(self, index: int) -> Resource:
        assignment = _assignment(index, _FIRST_PORT + self._revisions.get(index, 0) % _FIRST_PORT)
        if self.type_url == BY_NAME:
            return Resource.of(assignment)
        return Resource.of(
            cluster_pb2.Cluster(
                name=assignment.cluster_name, type=cluster_pb2.Cluster.STATIC, load_assignment=assignment
            )
        )


def resource_name(index: int) -> str:
    """The name of resource number `index`."""
    return f"service-{index:06}"


def _assignment(index: int, port: int) -> Any:
    assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name=resource_name(index))
    address = assignment.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
    address.address = "192.0.2.1"
    address.port_value = port
    return assignment
