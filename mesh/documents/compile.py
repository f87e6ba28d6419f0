"""Documents → one source's Slice of the mesh.

Services become backends, one for each port, named `service:port`; their endpoints come from EndpointSlices.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from mesh.documents.backend import Backend
from mesh.documents.gateway_compile import gateway_objects, misfits
from mesh.documents.kubernetes import SERVICE_NAME_LABEL, EndpointSlice, Protocol, Service
from mesh.documents.loaded import Documents, object_name
from mesh.documents.problems import DocumentErrors
from mesh.documents.references import dangling_references
from mesh.documents.route_compile import compile_route
from mesh.documents.rtsp_route import RTSPRoute
from mesh.documents.services import service_backend
from mesh.model import Backend as MeshBackend
from mesh.model import Endpoint, ObjectName, Slice


def compile_documents(documents: Documents, *, source: str) -> Slice:
    """The slice that the documents describe; `source` names it for people.

    Raises DocumentErrors naming every reference to something that is not there.
    """
    routes = (compile_route(loaded.document) for loaded in documents.of_kind(RTSPRoute))
    objects = {
        "routes": MappingProxyType({route.name: route for route in routes}),
        "backends": MappingProxyType({backend.name: backend for backend in _backends(documents)}),
        **gateway_objects(documents),
    }
    problems = (*dangling_references(documents), *misfits(documents, objects))
    if problems:
        raise DocumentErrors(problems)
    return Slice(source=source, **objects)


def _backends(documents: Documents) -> Iterator[MeshBackend]:
    slices: dict[ObjectName, list[EndpointSlice]] = {}
    for item in documents.of_kind(EndpointSlice):
        metadata = item.document.metadata
        service = metadata.labels.get(SERVICE_NAME_LABEL)
        if service is not None:  # otherwise nobody's endpoints: legal in Kubernetes, and of no use to us
            slices.setdefault(ObjectName(metadata.namespace, service), []).append(item.document)
    for backend in documents.of_kind(Backend):
        yield _backend(object_name(backend.document), backend.document)
    for loaded in documents.of_kind(Service):
        name, service_document = object_name(loaded.document), loaded.document
        for port in service_document.spec.ports:
            if port.protocol is not Protocol.SCTP:
                yield service_backend(name, service_document, port, slices.get(name, []))


def _backend(name: ObjectName, document: Backend) -> MeshBackend:
    endpoints = (
        Endpoint(name=e.name, address=e.address, port=e.port, path=e.path, transport=e.transport)
        for e in document.spec.endpoints
    )
    return MeshBackend(name=name, endpoints=tuple(endpoints))
