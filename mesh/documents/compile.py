"""Documents → one source's Slice of the mesh.

Services become backends, one for each port, named `service:port`; their endpoints come from EndpointSlices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from mesh.documents.authentication_compile import compile_users
from mesh.documents.backend import Backend, BackendEndpoint
from mesh.documents.gateway_compile import gateway_objects, misfits
from mesh.documents.kubernetes import SERVICE_NAME_LABEL, EndpointSlice, Protocol, Service
from mesh.documents.loaded import Documents, object_name
from mesh.documents.problems import DocumentErrors
from mesh.documents.references import dangling_references
from mesh.documents.route_compile import compile_route
from mesh.documents.rtsp_route import RTSPRoute
from mesh.documents.secret import BASIC_AUTH, Secret
from mesh.documents.services import service_backend
from mesh.documents.tls_compile import compile_tls
from mesh.model import Backend as MeshBackend
from mesh.model import Credentials, Endpoint, ObjectName, Slice


def compile_documents(documents: Documents, *, source: str) -> Slice:
    """The slice that the documents describe; `source` names it for people.

    Raises DocumentErrors naming every reference to something that is not there.
    """
    routes = (compile_route(loaded.document) for loaded in documents.of_kind(RTSPRoute))
    users, unusable = compile_users(documents)
    tls, misused = compile_tls(documents)
    backends = (replace(backend, tls=tls.get(backend.name)) for backend in _backends(documents))
    objects = {
        "routes": MappingProxyType({route.name: route for route in routes}),
        "backends": MappingProxyType({backend.name: backend for backend in backends}),
        "users": MappingProxyType(dict(users)),
        **gateway_objects(documents),
    }
    problems = (*dangling_references(documents), *unusable, *misused, *misfits(documents, objects))
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
    secrets = {object_name(item.document): item.document for item in documents.of_kind(Secret)}
    for backend in documents.of_kind(Backend):
        yield _backend(object_name(backend.document), backend.document, secrets)
    for loaded in documents.of_kind(Service):
        name, service_document = object_name(loaded.document), loaded.document
        for port in service_document.spec.ports:
            if port.protocol is not Protocol.SCTP:
                yield service_backend(name, service_document, port, slices.get(name, []))


def _backend(name: ObjectName, document: Backend, secrets: Mapping[ObjectName, Secret]) -> MeshBackend:
    endpoints = tuple(_endpoint(name, each) for each in document.spec.endpoints)
    refs = {e.credentials_ref.name for e in document.spec.endpoints if e.credentials_ref is not None}
    credentials = (_credentials(name, ref, secrets.get(ObjectName(name.namespace, ref))) for ref in sorted(refs))
    return MeshBackend(
        name=name, endpoints=endpoints, credentials=tuple(each for each in credentials if each is not None)
    )


def _endpoint(backend: ObjectName, document: BackendEndpoint) -> Endpoint:
    ref = document.credentials_ref
    return Endpoint(
        name=document.name,
        address=document.address,
        port=document.port,
        path=document.path,
        transport=document.transport,
        credentials="" if ref is None else _credentials_name(backend, ref.name),
    )


def _credentials(backend: ObjectName, name: str, secret: Secret | None) -> Credentials | None:
    """What a Secret says; None for one that there is not, which is told as a reference to nothing."""
    if secret is None or secret.type != BASIC_AUTH:
        return None
    return Credentials(
        name=_credentials_name(backend, name),
        username=secret.text("username") or "",
        password=secret.text("password") or "",
    )


def _credentials_name(backend: ObjectName, secret: str) -> str:
    """Credentials belong to their backend, and come and go with it, whoever else has the same Secret."""
    return f"{backend}/{secret}"
