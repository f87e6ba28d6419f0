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
from mesh.documents.rtsp_route import HeaderMatch, QueryParamMatch, RouteFilter, RouteMatch, RTSPRoute
from mesh.documents.services import service_backend, weighted_backends
from mesh.model import Backend as MeshBackend
from mesh.model import (
    Endpoint,
    Match,
    NamedMatch,
    ObjectName,
    PathMatch,
    PathRewrite,
    Route,
    Rule,
    Slice,
)


def compile_documents(documents: Documents, *, source: str) -> Slice:
    """The slice that the documents describe; `source` names it for people.

    Raises DocumentErrors naming every reference to something that is not there.
    """
    gateways = gateway_objects(documents)
    problems = (*dangling_references(documents), *misfits(documents, gateways))
    if problems:
        raise DocumentErrors(problems)
    routes = (_route(loaded.document) for loaded in documents.of_kind(RTSPRoute))
    return Slice(
        source=source,
        routes=MappingProxyType({route.name: route for route in routes}),
        backends=MappingProxyType({backend.name: backend for backend in _backends(documents)}),
        **gateways,
    )


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


def _route(route: RTSPRoute) -> Route:
    rules = tuple(
        Rule(
            name=rule.name or f"rule-{index}",
            matches=tuple(map(_match, rule.matches or (RouteMatch(),))),
            backends=weighted_backends(rule.backend_refs, route.metadata.namespace, Protocol.TCP),
            rewrite=_rewrite(rule.filters),
        )
        for index, rule in enumerate(route.spec.rules)
    )
    return Route(name=object_name(route), hostnames=route.spec.hostnames, rules=rules)


def _match(match: RouteMatch) -> Match:
    return Match(
        path=PathMatch(type=match.path.type, value=match.path.value),
        headers=tuple(map(_named, match.headers)),
        query_params=tuple(map(_named, match.query_params)),
        method=match.method,
    )


def _named(match: HeaderMatch | QueryParamMatch) -> NamedMatch:
    return NamedMatch(name=match.name, type=match.type, value=match.value)


def _backend(name: ObjectName, document: Backend) -> MeshBackend:
    endpoints = (
        Endpoint(name=e.name, address=e.address, port=e.port, path=e.path, transport=e.transport)
        for e in document.spec.endpoints
    )
    return MeshBackend(name=name, endpoints=tuple(endpoints))


def _rewrite(filters: tuple[RouteFilter, ...]) -> PathRewrite | None:
    """The rewrite of a rule; `checks` has made sure that there is at most one, and whole."""
    for item in filters:
        if item.url_rewrite is not None:
            path = item.url_rewrite.path
            value = path.replace_full_path if path.replace_full_path is not None else path.replace_prefix_match
            return PathRewrite(type=path.type, value=value or "/")
    return None
