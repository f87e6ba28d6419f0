"""References between documents: what refers to nothing, with its file, line and field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set

from mesh.documents.authentication import AuthenticationFilter
from mesh.documents.backend import DEFAULT_RTSP_PORT, Backend
from mesh.documents.backend_refs import BackendKind, BackendObjectReference, BackendRef
from mesh.documents.kubernetes import SERVICE_NAME_LABEL, EndpointSlice, Protocol, Service, ServicePort
from mesh.documents.loaded import Documents, Loaded, object_name
from mesh.documents.messages import closest, meant
from mesh.documents.problems import DocumentProblem, FieldPath
from mesh.documents.rtsp_route import RouteRule, RTSPRoute
from mesh.documents.secret import BASIC_AUTH, Secret
from mesh.documents.transport_route import TCPRoute, TransportRule, UDPRoute
from mesh.model import BackendTransport, ObjectName


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
        yield from checker.extensions(route)
    for authentication in documents.of_kind(AuthenticationFilter):
        yield from checker.users(authentication)
    for udp_route in documents.of_kind(UDPRoute):
        yield from checker.route(udp_route, Protocol.UDP)
    for tcp_route in documents.of_kind(TCPRoute):
        yield from checker.route(tcp_route, Protocol.TCP)
    for backend in documents.of_kind(Backend):
        yield from checker.backend(backend)


class _Checker:
    def __init__(self, documents: Documents, spared: Set[ObjectName]) -> None:
        self._backends = {object_name(item.document): item.document for item in documents.of_kind(Backend)}
        self._services = {object_name(item.document): item.document for item in documents.of_kind(Service)}
        self._secrets = {object_name(item.document): item.document for item in documents.of_kind(Secret)}
        self._filters = {object_name(item.document) for item in documents.of_kind(AuthenticationFilter)}
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
            yield loaded.problem(path, f"there is no Service {name}{near(name, self._services)}")

    def route(
        self, loaded: Loaded[RTSPRoute] | Loaded[UDPRoute] | Loaded[TCPRoute], protocol: Protocol
    ) -> Iterator[DocumentProblem]:
        """The backends of every rule, whose sessions are of `protocol`."""
        document = loaded.document
        rules: Sequence[RouteRule | TransportRule] = document.spec.rules
        for index, rule in enumerate(rules):
            for at, ref in _refs(rule, ("spec", "rules", index)):
                name = ObjectName(ref.namespace or document.metadata.namespace, ref.name)
                fault = None if name in self._spared else self._fault(ref, name, at, protocol)
                if fault is None and not isinstance(document, RTSPRoute):
                    fault = self._portless(ref, name, at)
                if fault is None and not isinstance(ref, BackendRef):
                    fault = self._unheard(ref, name, at)
                if fault is not None:
                    yield loaded.problem(*fault)

    def backend(self, loaded: Loaded[Backend]) -> Iterator[DocumentProblem]:
        """The Secrets that a Backend's endpoints are told."""
        for index, endpoint in enumerate(loaded.document.spec.endpoints):
            ref = endpoint.credentials_ref
            fault = (
                None if ref is None else self._secret_fault(ObjectName(loaded.document.metadata.namespace, ref.name))
            )
            if fault is not None:
                yield loaded.problem(("spec", "endpoints", index, "credentialsRef", "name"), fault)

    def extensions(self, loaded: Loaded[RTSPRoute]) -> Iterator[DocumentProblem]:
        """The AuthenticationFilters of every rule."""
        namespace = loaded.document.metadata.namespace
        for index, rule in enumerate(loaded.document.spec.rules):
            for position, item in enumerate(rule.filters):
                name = None if item.extension_ref is None else ObjectName(namespace, item.extension_ref.name)
                if name is not None and name not in self._filters and name not in self._spared:
                    path = ("spec", "rules", index, "filters", position, "extensionRef", "name")
                    yield loaded.problem(path, f"there is no AuthenticationFilter {name}{near(name, self._filters)}")

    def users(self, loaded: Loaded[AuthenticationFilter]) -> Iterator[DocumentProblem]:
        """The Secrets in which users are."""
        for index, source in enumerate(loaded.document.spec.users):
            name = ObjectName(loaded.document.metadata.namespace, source.secret_ref.name)
            if name not in self._secrets and name not in self._spared:
                path = ("spec", "users", index, "secretRef", "name")
                yield loaded.problem(path, f"there is no Secret {name}{near(name, self._secrets)}")

    def _secret_fault(self, name: ObjectName) -> str | None:
        secret = self._secrets.get(name)
        if name in self._spared or (secret is not None and secret.type == BASIC_AUTH):
            return None
        if secret is None:
            return f"there is no Secret {name}{near(name, self._secrets)}"
        return f'Secret {name} is of type "{secret.type}", not {BASIC_AUTH}'

    def _fault(
        self, ref: BackendObjectReference, name: ObjectName, at: FieldPath, protocol: Protocol
    ) -> tuple[FieldPath, str] | None:
        """The field that refers to nothing, and why it does."""
        if ref.kind is BackendKind.BACKEND:
            return None if name in self._backends else ((*at, "name"), self._no_backend(name))
        service = self._services.get(name)
        if service is None:
            return (*at, "name"), self._no_service(name)
        reason = _port_fault(name, service.spec.ports, ref.port, protocol)
        return None if reason is None else ((*at, "port"), reason)

    def _portless(self, ref: BackendObjectReference, name: ObjectName, at: FieldPath) -> tuple[FieldPath, str] | None:
        """A Backend whose endpoints have RTSP's port because nobody said another."""
        backend = self._backends.get(name) if ref.kind is BackendKind.BACKEND else None
        for endpoint in backend.spec.endpoints if backend is not None else ():
            if "port" not in endpoint.model_fields_set:
                default = f"the default, {DEFAULT_RTSP_PORT}, is RTSP's"
                return (*at, "name"), f'endpoint "{endpoint.name}" of Backend {name} needs a port: {default}'
        return None

    def _unheard(self, ref: BackendObjectReference, name: ObjectName, at: FieldPath) -> tuple[FieldPath, str] | None:
        """A mirror's Backend whose media no shadow session receives: it joins no group."""
        backend = self._backends.get(name) if ref.kind is BackendKind.BACKEND else None
        for endpoint in backend.spec.endpoints if backend is not None else ():
            if endpoint.transport is BackendTransport.MULTICAST:
                message = f'endpoint "{endpoint.name}" of Backend {name} sends by multicast; a mirror takes none'
                return (*at, "name"), message
        return None

    def _no_backend(self, name: ObjectName) -> str:
        hint = " (there is a Service of that name)" if name in self._services else near(name, self._backends)
        return f"there is no Backend {name}{hint}"

    def _no_service(self, name: ObjectName) -> str:
        backend = name in self._backends
        hint = " (there is a Backend: say kind: Backend)" if backend else near(name, self._services)
        return f"there is no Service {name}{hint}"


def _refs(rule: RouteRule | TransportRule, at: FieldPath) -> Iterator[tuple[FieldPath, BackendObjectReference]]:
    """The backends that a rule names, and where."""
    for position, ref in enumerate(rule.backend_refs):
        yield (*at, "backendRefs", position), ref
    for position, item in enumerate(rule.filters if isinstance(rule, RouteRule) else ()):
        if item.request_mirror is not None:
            yield (*at, "filters", position, "requestMirror", "backendRef"), item.request_mirror.backend_ref


def near(name: ObjectName, known: Iterable[ObjectName]) -> str:
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
