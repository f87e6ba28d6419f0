"""BackendTLSPolicy and ConfigMap documents → how backends are spoken to by TLS, and with its line what does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mesh.certificates import plain_pem
from mesh.documents.backend import Backend
from mesh.documents.backend_refs import BackendKind
from mesh.documents.backend_tls_policy import BackendTLSPolicy, TLSTargetRef
from mesh.documents.config_map import ConfigMap
from mesh.documents.kubernetes import Protocol, Service
from mesh.documents.loaded import Documents, Loaded, object_name
from mesh.documents.problems import DocumentProblem, FieldPath
from mesh.documents.references import near
from mesh.documents.services import port_name, weighted_backends
from mesh.documents.transport_route import TCPRoute, UDPRoute
from mesh.model import BackendTLS, BackendTransport, ObjectName

CA_KEY = "ca.crt"
"""Where Gateway API has the certificates in a ConfigMap."""
_INSIDE_TLS = (BackendTransport.AUTO, BackendTransport.TCP, BackendTransport.HTTP)
_REFS = ("spec", "validation", "caCertificateRefs")


def compile_tls(documents: Documents) -> tuple[Mapping[ObjectName, BackendTLS], tuple[DocumentProblem, ...]]:
    """How each backend is spoken to that a policy is for, and what is wrong with policies."""
    work = _Work(documents)
    for loaded in documents.of_kind(BackendTLSPolicy):
        work.take(loaded)
    return work.found, tuple(work.problems)


class _Work:
    def __init__(self, documents: Documents) -> None:
        self._backends = {object_name(item.document): item.document for item in documents.of_kind(Backend)}
        self._services = {object_name(item.document): item.document for item in documents.of_kind(Service)}
        self._config_maps = {object_name(item.document): item.document for item in documents.of_kind(ConfigMap)}
        self._in_gateways = dict(_in_gateways(documents))
        self._owners: dict[ObjectName, ObjectName] = {}
        self.found: dict[ObjectName, BackendTLS] = {}
        self.problems: list[DocumentProblem] = []

    def take(self, loaded: Loaded[BackendTLSPolicy]) -> None:
        """What one policy says."""
        validation = loaded.document.spec.validation
        tls = BackendTLS(hostname=validation.hostname, authorities=self._authorities(loaded))
        for index, target in enumerate(loaded.document.spec.target_refs):
            at = ("spec", "targetRefs", index)
            for backend in self._targets(loaded, target, at):
                fault = self._unfit(backend, object_name(loaded.document))
                if fault is not None:
                    self.problems.append(loaded.problem((*at, "name"), fault))
                self.found[backend] = tls

    def _authorities(self, loaded: Loaded[BackendTLSPolicy]) -> str | None:
        """The certificates of the ConfigMaps; None for those of the system."""
        validation = loaded.document.spec.validation
        if validation.well_known_ca_certificates is not None:
            return None
        texts = []
        for index, ref in enumerate(validation.ca_certificate_refs):
            name = ObjectName(loaded.document.metadata.namespace, ref.name)
            try:
                texts.append(self._certificates(name))
            except ValueError as error:
                self.problems.append(loaded.problem((*_REFS, index, "name"), str(error)))
        return "".join(texts)

    def _certificates(self, name: ObjectName) -> str:
        """Raises ValueError with what is wrong."""
        config_map = self._config_maps.get(name)
        if config_map is None:
            raise ValueError(f"there is no ConfigMap {name}{near(name, self._config_maps)}")
        if CA_KEY not in config_map.data:
            raise ValueError(f'ConfigMap {name} has no key "{CA_KEY}"')
        try:
            return plain_pem(config_map.data[CA_KEY])
        except ValueError as error:
            raise ValueError(f'"{CA_KEY}" of ConfigMap {name} {error}') from None

    def _targets(self, loaded: Loaded[BackendTLSPolicy], target: TLSTargetRef, at: FieldPath) -> Iterator[ObjectName]:
        """The backends that a target stands for."""
        name = ObjectName(loaded.document.metadata.namespace, target.name)
        if target.kind is BackendKind.BACKEND:
            if name in self._backends:
                yield name
            else:
                message = f"there is no Backend {name}{near(name, self._backends)}"
                self.problems.append(loaded.problem((*at, "name"), message))
            return
        service = self._services.get(name)
        if service is None:
            message = f"there is no Service {name}{near(name, self._services)}"
            self.problems.append(loaded.problem((*at, "name"), message))
            return
        ports = [port for port in service.spec.ports if target.section_name in (None, port.name)]
        if not ports:
            message = f'Service {name} has no port of the name "{target.section_name}"'
            self.problems.append(loaded.problem((*at, "sectionName"), message))
        yield from (port_name(name, port.port, Protocol.TCP) for port in ports if port.protocol is Protocol.TCP)

    def _unfit(self, backend: ObjectName, policy: ObjectName) -> str | None:
        """Why a backend cannot be spoken to as a policy says."""
        owner = self._owners.setdefault(backend, policy)
        if owner != policy:
            return f"BackendTLSPolicy {owner} is for {backend} already"
        if backend in self._in_gateways:
            return f"{self._in_gateways[backend]} sends sessions to {backend}, and gateways pass them on as they are"
        document = self._backends.get(backend)
        for endpoint in document.spec.endpoints if document is not None else ():
            if endpoint.transport not in _INSIDE_TLS:
                way = endpoint.transport.value
                return f'endpoint "{endpoint.name}" of {backend} has transport: {way}, which would go beside TLS'
        return None


def _in_gateways(documents: Documents) -> Iterator[tuple[ObjectName, str]]:
    """Backends of UDPRoutes and TCPRoutes, and one such route of each."""
    udp = [(item.document, f"UDPRoute {object_name(item.document)}") for item in documents.of_kind(UDPRoute)]
    tcp = [(item.document, f"TCPRoute {object_name(item.document)}") for item in documents.of_kind(TCPRoute)]
    for route, label in (*udp, *tcp):
        protocol = Protocol(route.protocol.value)
        for rule in route.spec.rules:
            for weighted in weighted_backends(rule.backend_refs, route.metadata.namespace, protocol):
                yield weighted.backend, label
