"""What an Envoy runs, from its `/config_dump`, in the shape of what a cache holds, so that the two can be compared.

Listeners, clusters and routes are shown as they were received. Endpoints are shown as Envoy uses them (defaults filled
in, localities joined, transport left out), so both sides are reduced to the same facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envoy.admin.v3 import config_dump_shared_pb2 as dump_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import health_check_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from google.protobuf import json_format

from tests.peers.envoy_messages import CLUSTER, ENDPOINT, LISTENER, ROUTE
from xds_server.cache import ResourceCache

_MESSAGES = {
    LISTENER: listener_pb2.Listener,
    CLUSTER: cluster_pb2.Cluster,
    ROUTE: route_pb2.RouteConfiguration,
    ENDPOINT: endpoint_pb2.ClusterLoadAssignment,
}
_SECTIONS = {
    message.DESCRIPTOR.full_name: message
    for message in (
        dump_pb2.ListenersConfigDump,
        dump_pb2.ClustersConfigDump,
        dump_pb2.RoutesConfigDump,
        dump_pb2.EndpointsConfigDump,
    )
}

Key = tuple[str, str]
"""Type URL and name."""


@dataclass(slots=True)
class Running:
    """`contents`: messages, or for endpoints their facts. `warming`: what is not in use yet. `draining`: what ends."""

    contents: dict[Key, Any] = field(default_factory=dict)
    versions: dict[Key, str] = field(default_factory=dict)
    warming: list[Key] = field(default_factory=list)
    draining: list[Key] = field(default_factory=list)

    def add(self, shown: Any, version: str = "") -> None:
        """A resource that is in use, as an Any."""
        message = _MESSAGES[shown.type_url].FromString(shown.value)
        name = message.cluster_name if shown.type_url == ENDPOINT else message.name
        self.contents[shown.type_url, name] = facts(message)
        if version:
            self.versions[shown.type_url, name] = version


def read(dump: Mapping[str, Any]) -> Running:
    """What a `/config_dump?include_eds` says of resources that came by xDS."""
    running = Running()
    for section in dump["configs"]:
        make = _SECTIONS.get(section["@type"].rpartition("/")[2])
        if make is not None:
            body = {name: value for name, value in section.items() if name.startswith("dynamic_")}
            _read_section(json_format.ParseDict(body, make()), running)
    return running


def wanted(cache: ResourceCache) -> Running:
    """What a cache says that an Envoy should run."""
    running = Running()
    for type_url, message in _MESSAGES.items():
        for name, resource in cache.resources(type_url).items():
            running.contents[type_url, name] = facts(message.FromString(resource.body))
            if type_url != ENDPOINT:
                running.versions[type_url, name] = resource.version
    return running


def facts(message: Any) -> Any:
    """The message itself, or what Envoy keeps of an assignment: locality, priority, address, weight and health."""
    if not isinstance(message, endpoint_pb2.ClusterLoadAssignment):
        return message
    return frozenset(
        (
            (group.locality.region, group.locality.zone, group.locality.sub_zone, group.priority),
            each.endpoint.address.socket_address.address,
            each.endpoint.address.socket_address.port_value,
            each.load_balancing_weight.value or 1,
            each.health_status or health_check_pb2.HEALTHY,
        )
        for group in message.endpoints
        for each in group.lb_endpoints
    )


def _read_section(section: Any, running: Running) -> None:
    for listener in getattr(section, "dynamic_listeners", ()):
        if listener.HasField("active_state"):
            running.add(listener.active_state.listener, listener.active_state.version_info)
        if listener.HasField("warming_state"):
            running.warming.append((LISTENER, listener.name))
        if listener.HasField("draining_state"):
            running.draining.append((LISTENER, listener.name))
    for cluster in getattr(section, "dynamic_active_clusters", ()):
        running.add(cluster.cluster, cluster.version_info)
    for cluster in getattr(section, "dynamic_warming_clusters", ()):
        message = cluster_pb2.Cluster.FromString(cluster.cluster.value)
        running.warming.append((CLUSTER, message.name))
    for route in getattr(section, "dynamic_route_configs", ()):
        running.add(route.route_config, route.version_info)
    for endpoint in getattr(section, "dynamic_endpoint_configs", ()):
        running.add(endpoint.endpoint_config)
