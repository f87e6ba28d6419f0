"""Documents → one source's Slice of the mesh.

Services become backends, one for each port, named `service:port`; their endpoints come from EndpointSlices. Every
reference is resolved here, and what refers to nothing is reported with its file, line and field.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from mesh.documents.backend import Backend
from mesh.documents.kubernetes import SERVICE_NAME_LABEL, EndpointSlice, Protocol, Service, ServicePort
from mesh.documents.loading import Documents, Loaded
from mesh.documents.messages import suggestion
from mesh.documents.problems import DocumentErrors, DocumentProblem, FieldPath
from mesh.documents.rtsp_route import BackendKind, BackendRef, RouteFilter, RTSPRoute
from mesh.documents.services import service_backend
from mesh.model import Backend as MeshBackend
from mesh.model import (
    Endpoint,
    ObjectName,
    PathMatch,
    PathMatchType,
    PathRewrite,
    Route,
    Rule,
    Slice,
    WeightedBackend,
)


def compile_documents(documents: Documents, *, source: str) -> Slice:
    """The slice that the documents describe; `source` names it for people.

    Raises DocumentErrors naming every reference to something that is not there.
    """
    compiler = _Compiler(documents)
    backends = compiler.backends()
    routes = [compiler.route(loaded) for loaded in documents.of_kind(RTSPRoute)]
    if compiler.problems:
        raise DocumentErrors(compiler.problems)
    return Slice(
        source=source,
        routes=MappingProxyType({route.name: route for route in routes}),
        backends=MappingProxyType({backend.name: backend for backend in backends}),
    )


def object_name(document: Backend | RTSPRoute | Service | EndpointSlice) -> ObjectName:
    """Namespace and name of a document."""
    return ObjectName(document.metadata.namespace, document.metadata.name)


class _Compiler:
    def __init__(self, documents: Documents) -> None:
        self.problems: list[DocumentProblem] = []
        self._backends = {object_name(item.document): item.document for item in documents.of_kind(Backend)}
        self._services = {object_name(item.document): item.document for item in documents.of_kind(Service)}
        self._slices: dict[ObjectName, list[EndpointSlice]] = {}
        for item in documents.of_kind(EndpointSlice):
            self._add_slice(item)

    def _add_slice(self, loaded: Loaded[EndpointSlice]) -> None:
        metadata = loaded.document.metadata
        service = metadata.labels.get(SERVICE_NAME_LABEL)
        if service is None:
            return  # nobody's endpoints: legal in Kubernetes, and of no use to us
        name = ObjectName(metadata.namespace, service)
        if name not in self._services:
            path = ("metadata", "labels", SERVICE_NAME_LABEL)
            self.problems.append(loaded.problem(path, f"there is no Service {name}{self._near(name, self._services)}"))
        self._slices.setdefault(name, []).append(loaded.document)

    def backends(self) -> list[MeshBackend]:
        found = [_backend(name, document) for name, document in self._backends.items()]
        for name, service in self._services.items():
            slices = self._slices.get(name, [])
            found += [
                service_backend(name, service, port, slices)
                for port in service.spec.ports
                if port.protocol is Protocol.TCP
            ]
        return found

    def route(self, loaded: Loaded[RTSPRoute]) -> Route:
        route = loaded.document
        rules = [
            Rule(
                name=rule.name or f"rule-{index}",
                matches=tuple(PathMatch(type=m.path.type, value=m.path.value) for m in rule.matches)
                or (PathMatch(type=PathMatchType.PATH_PREFIX, value="/"),),
                backends=tuple(
                    self._weighted(loaded, ref, ("spec", "rules", index, "backendRefs", position))
                    for position, ref in enumerate(rule.backend_refs)
                ),
                rewrite=_rewrite(rule.filters),
            )
            for index, rule in enumerate(route.spec.rules)
        ]
        return Route(name=object_name(route), hostnames=route.spec.hostnames, rules=tuple(rules))

    def _weighted(self, loaded: Loaded[RTSPRoute], ref: BackendRef, at: FieldPath) -> WeightedBackend:
        name = ObjectName(ref.namespace or loaded.document.metadata.namespace, ref.name)
        if ref.kind is BackendKind.BACKEND:
            self._require_backend(loaded, name, at)
        else:
            self._require_port(loaded, name, ref.port, at)
            name = ObjectName(name.namespace, f"{name.name}:{ref.port}")
        return WeightedBackend(backend=name, weight=ref.weight)

    def _require_backend(self, loaded: Loaded[RTSPRoute], name: ObjectName, at: FieldPath) -> None:
        if name in self._backends:
            return
        hint = " (there is a Service of that name)" if name in self._services else self._near(name, self._backends)
        self.problems.append(loaded.problem((*at, "name"), f"there is no Backend {name}{hint}"))

    def _require_port(self, loaded: Loaded[RTSPRoute], name: ObjectName, port: int | None, at: FieldPath) -> None:
        service = self._services.get(name)
        if service is None:
            backend = name in self._backends
            hint = " (there is a Backend: say kind: Backend)" if backend else self._near(name, self._services)
            self.problems.append(loaded.problem((*at, "name"), f"there is no Service {name}{hint}"))
        elif (reason := _port_fault(name, service.spec.ports, port)) is not None:
            self.problems.append(loaded.problem((*at, "port"), reason))

    @staticmethod
    def _near(name: ObjectName, known: Iterable[ObjectName]) -> str:
        return suggestion(str(name), map(str, known))


def _port_fault(name: ObjectName, ports: tuple[ServicePort, ...], wanted: int | None) -> str | None:
    numbers = {port.port for port in ports}
    if wanted not in numbers:
        known = ", ".join(map(str, sorted(numbers))) or "none"
        return f"Service {name} has no port {wanted}; its ports: {known}"
    if not any(port.port == wanted and port.protocol is Protocol.TCP for port in ports):
        return f"port {wanted} of Service {name} is not TCP, which RTSP needs"
    return None


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
