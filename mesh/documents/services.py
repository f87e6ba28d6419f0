"""A port of a Service and the EndpointSlices of that Service → one backend.

Which endpoints count follows Kubernetes: the ready ones; if there are none, those that still serve while they
terminate, because a server that is going away is better than none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
from mesh.model import Backend, Endpoint, ObjectName


def service_backend(name: ObjectName, service: Service, port: ServicePort, slices: Sequence[EndpointSlice]) -> Backend:
    """The backend of one port of the Service `name`, named `service:port`."""
    if service.spec.type is ServiceType.EXTERNAL_NAME and service.spec.external_name is not None:
        address = service.spec.external_name
        endpoints: tuple[Endpoint, ...] = (Endpoint(name=address, address=address, port=port.port),)
    else:
        endpoints = _endpoints(_one_family(service, slices), port)
    return Backend(name=ObjectName(name.namespace, f"{name.name}:{port.port}"), endpoints=endpoints)


def _one_family(service: Service, slices: Sequence[EndpointSlice]) -> list[EndpointSlice]:
    """The slices of the Service's first IP family: on two families every server would be there twice."""
    there = {item.address_type for item in slices}
    wanted = [AddressType(family.value) for family in service.spec.ip_families]
    chosen = next((family for family in (*wanted, *AddressType) if family in there), None)
    return [item for item in slices if item.address_type is chosen]


def _endpoints(slices: Iterable[EndpointSlice], port: ServicePort) -> tuple[Endpoint, ...]:
    ready: dict[tuple[str, int], Endpoint] = {}
    last_resort: dict[tuple[str, int], Endpoint] = {}
    for item in slices:
        numbers = [p.port for p in item.ports if p.name == port.name and p.protocol is Protocol.TCP]
        for number in numbers:
            for server in item.endpoints:
                target = _target(server.conditions, ready, last_resort)
                if target is not None and number is not None:
                    target[server.addresses[0], number] = _endpoint(server, number)
    return tuple((ready or last_resort).values())


def _target(
    conditions: EndpointConditions,
    ready: dict[tuple[str, int], Endpoint],
    last_resort: dict[tuple[str, int], Endpoint],
) -> dict[tuple[str, int], Endpoint] | None:
    """The set that an endpoint in this state belongs to."""
    is_ready = conditions.ready is not False
    serving = conditions.serving if conditions.serving is not None else is_ready
    if is_ready:
        return ready
    return last_resort if serving and conditions.terminating else None


def _endpoint(server: SliceEndpoint, port: int) -> Endpoint:
    address = server.addresses[0]
    name = server.target_ref.name if server.target_ref is not None else None
    return Endpoint(name=name or address, address=address, port=port)
