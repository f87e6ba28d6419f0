"""References between documents: what refers to nothing, with its file, line and field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set

from mesh.documents.backend import DEFAULT_RTSP_PORT, Backend
from mesh.documents.kubernetes import SERVICE_NAME_LABEL, EndpointSlice, Protocol, Service, ServicePort
from mesh.documents.loaded import Documents, Loaded, object_name
from mesh.documents.messages import closest, meant
from mesh.documents.problems import DocumentProblem, FieldPath
from mesh.documents.rtsp_route import BackendKind, BackendRef, RouteRule, RTSPRoute
from mesh.documents.transport_route import TCPRoute, TransportRule, UDPRoute
from mesh.model import ObjectName


def dangling_references(documents: Documents, *, spared: Set[ObjectName] = frozenset()) -> Iterator[DocumentProblem]:
    """Every reference to an object or port that is not among the documents.

    References to the names in `spared` are taken for good, whatever their kind: of an object with mistakes there is no
    more to say.
    """
    checker = _Checker(documents, spared)
    for loaded in documents.of_kind(EndpointSlice):
        yield from checker.endpoint_slice(loaded)
    for route in documents.of_kind(RTSPRoute):
        yield from checker.route(route, Protocol.TCP)
    for udp_route in documents.of_kind(UDPRoute):
        yield from checker.route(udp_route, Protocol.UDP)
    for tcp_route in documents.of_kind(TCPRoute):
        yield from checker.route(tcp_route, Protocol.TCP)


class _Checker:
    def __init__(self, documents: Documents, spared: Set[ObjectName]) -> None:
        self._backends = {object_name(item.document): item.document for item in documents.of_kind(Backend)}
        self._services = {object_name(item.document): item.document for item in documents.of_kind(Service)}
        self._spared = spared

    def endpoint_slice(self, loaded: Loaded[EndpointSlice]) -> Iterator[DocumentProblem]:
        """The Service whose servers a slice has."""
        metadata = loaded.document.metadata
        service = metadata.labels.get(SERVICE_NAME_LABEL)
        if service is None:
            return
        name = ObjectName(metadata.namespace, service)
        if name not in self._services and name not in self._spared:
            path = ("metadata", "labels", SERVICE_NAME_LABEL)
            yield loaded.problem(path, f"there is no Service {name}{_near(name, self._services)}")

    def route(
        self, loaded: Loaded[RTSPRoute] | Loaded[UDPRoute] | Loaded[TCPRoute], protocol: Protocol
    ) -> Iterator[DocumentProblem]:
        """The backends of every rule, whose sessions are of `protocol`."""
        document = loaded.document
        rules: Sequence[RouteRule | TransportRule] = document.spec.rules
        for index, rule in enumerate(rules):
            for position, ref in enumerate(rule.backend_refs):
                name = ObjectName(ref.namespace or document.metadata.namespace, ref.name)
                at = ("spec", "rules", index, "backendRefs", position)
                fault = None if name in self._spared else self._fault(ref, name, at, protocol)
                if fault is None and not isinstance(document, RTSPRoute):
                    fault = self._portless(ref, name, at)
                if fault is not None:
                    yield loaded.problem(*fault)

    def _fault(
        self, ref: BackendRef, name: ObjectName, at: FieldPath, protocol: Protocol
    ) -> tuple[FieldPath, str] | None:
        """The field that refers to nothing, and why it does."""
        if ref.kind is BackendKind.BACKEND:
            return None if name in self._backends else ((*at, "name"), self._no_backend(name))
        service = self._services.get(name)
        if service is None:
            return (*at, "name"), self._no_service(name)
        reason = _port_fault(name, service.spec.ports, ref.port, protocol)
        return None if reason is None else ((*at, "port"), reason)

    def _portless(self, ref: BackendRef, name: ObjectName, at: FieldPath) -> tuple[FieldPath, str] | None:
        """A Backend whose endpoints have RTSP's port because nobody said another."""
        backend = self._backends.get(name) if ref.kind is BackendKind.BACKEND else None
        for endpoint in backend.spec.endpoints if backend is not None else ():
            if "port" not in endpoint.model_fields_set:
                default = f"the default, {DEFAULT_RTSP_PORT}, is RTSP's"
                return (*at, "name"), f'endpoint "{endpoint.name}" of Backend {name} needs a port: {default}'
        return None

    def _no_backend(self, name: ObjectName) -> str:
        hint = " (there is a Service of that name)" if name in self._services else _near(name, self._backends)
        return f"there is no Backend {name}{hint}"

    def _no_service(self, name: ObjectName) -> str:
        backend = name in self._backends
        hint = " (there is a Backend: say kind: Backend)" if backend else _near(name, self._services)
        return f"there is no Service {name}{hint}"


def _near(name: ObjectName, known: Iterable[ObjectName]) -> str:
    """The object that was meant: of that namespace one with a name like it, or the namesake in one spelt like it. The
    halves are compared apart, because a namespace in common makes no two names alike."""
    objects = tuple(known)
    siblings = {other.name: other for other in objects if other.namespace == name.namespace}
    namesakes = {other.namespace: other for other in objects if other.name == name.name}
    sibling, namespace = closest(name.name, siblings), closest(name.namespace, namesakes)
    if sibling is not None:
        return meant(siblings[sibling])
    return meant(namesakes[namespace] if namespace is not None else None)


def _port_fault(name: ObjectName, ports: tuple[ServicePort, ...], wanted: int | None, protocol: Protocol) -> str | None:
    numbers = {port.port for port in ports}
    if wanted not in numbers:
        known = ", ".join(map(str, sorted(numbers))) or "none"
        return f"Service {name} has no port {wanted}; its ports: {known}"
    if not any(port.port == wanted and port.protocol is protocol for port in ports):
        return f"port {wanted} of Service {name} is not {protocol.value}, which this route needs"
    return None
