"""A port of a Service and the EndpointSlices of that Service → one backend.

Which endpoints count follows Kubernetes: the ready ones get new sessions; if there are none, those that still serve
while they terminate, because a server that is going away is better than none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mesh.documents.backend_refs import BackendKind, BackendObjectReference, BackendRef
from mesh.documents.kubernetes import (
    AddressType,
    EndpointConditions,
    EndpointSlice,
    Protocol,
    Service,
    ServicePort,
    ServiceType,
    SliceEndpoint,
)
from mesh.model import Backend, Endpoint, ObjectName, WeightedBackend


def service_backend(name: ObjectName, service: Service, port: ServicePort, slices: Sequence[EndpointSlice]) -> Backend:
    """The backend of one port of the Service `name`."""
    leaving: tuple[Endpoint, ...] = ()
    if service.spec.type is ServiceType.EXTERNAL_NAME and service.spec.external_name is not None:
        address = service.spec.external_name
        endpoints: tuple[Endpoint, ...] = (Endpoint(name=address, address=address, port=port.port),)
    else:
        endpoints, leaving = _endpoints(_one_family(service, slices), port)
    return Backend(name=port_name(name, port.port, port.protocol), endpoints=endpoints, leaving=leaving)


def weighted_backends(refs: Iterable[BackendRef], namespace: str, protocol: Protocol) -> tuple[WeightedBackend, ...]:
    """The backends of a rule, whose sessions are of `protocol`."""
    return tuple(WeightedBackend(backend=referred(ref, namespace, protocol), weight=ref.weight) for ref in refs)


def referred(ref: BackendObjectReference, namespace: str, protocol: Protocol) -> ObjectName:
    """The backend that a reference of an object in `namespace` names, for sessions of `protocol`."""
    name = ObjectName(ref.namespace or namespace, ref.name)
    return name if ref.kind is BackendKind.BACKEND or ref.port is None else port_name(name, ref.port, protocol)


def port_name(service: ObjectName, port: int, protocol: Protocol) -> ObjectName:
    """`service:port`; a Service may have a UDP port of the same number."""
    suffix = "/udp" if protocol is Protocol.UDP else ""
    return ObjectName(service.namespace, f"{service.name}:{port}{suffix}")


def _one_family(service: Service, slices: Sequence[EndpointSlice]) -> list[EndpointSlice]:
    """The slices of the Service's first IP family: on two families every server would be there twice."""
    there = {item.address_type for item in slices}
    wanted = [AddressType(family.value) for family in service.spec.ip_families]
    chosen = next((family for family in (*wanted, *AddressType) if family in there), None)
    return [item for item in slices if item.address_type is chosen]


def _endpoints(slices: Iterable[EndpointSlice], port: ServicePort) -> tuple[tuple[Endpoint, ...], tuple[Endpoint, ...]]:
    """Endpoints for new sessions, and those that keep the sessions they have."""
    ready: dict[tuple[str, int], Endpoint] = {}
    leaving: dict[tuple[str, int], Endpoint] = {}
    for item in slices:
        numbers = [p.port for p in item.ports if p.name == port.name and p.protocol is port.protocol]
        for number in numbers:
            for server in item.endpoints:
                target = _target(server.conditions, ready, leaving)
                if target is not None and number is not None:
                    target[server.addresses[0], number] = _endpoint(server, number)
    if not ready:
        return tuple(leaving.values()), ()
    return tuple(ready.values()), tuple(server for key, server in leaving.items() if key not in ready)


def _target(
    conditions: EndpointConditions,
    ready: dict[tuple[str, int], Endpoint],
    leaving: dict[tuple[str, int], Endpoint],
) -> dict[tuple[str, int], Endpoint] | None:
    """The set that an endpoint in this state belongs to."""
    is_ready = conditions.ready is not False
    serving = conditions.serving if conditions.serving is not None else is_ready
    if is_ready:
        return ready
    return leaving if serving and conditions.terminating else None


def _endpoint(server: SliceEndpoint, port: int) -> Endpoint:
    address = server.addresses[0]
    name = server.target_ref.name if server.target_ref is not None else None
    return Endpoint(name=name or address, address=address, port=port)
