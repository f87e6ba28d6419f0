"""Valid documents and where each was written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mesh.documents.authentication import AuthenticationFilter
from mesh.documents.backend import Backend
from mesh.documents.backend_tls_policy import BackendTLSPolicy
from mesh.documents.config_map import ConfigMap
from mesh.documents.gateway import Gateway
from mesh.documents.kubernetes import EndpointSlice, Service
from mesh.documents.media_policy import MediaPolicy
from mesh.documents.problems import DocumentProblem, FieldPath, field_text
from mesh.documents.rtsp_route import RTSPRoute
from mesh.documents.secret import Secret
from mesh.documents.transport_route import TCPRoute, UDPRoute
from mesh.documents.yaml_nodes import Node
from mesh.model import ObjectName

Document = (
    RTSPRoute
    | Backend
    | Service
    | EndpointSlice
    | Gateway
    | UDPRoute
    | TCPRoute
    | MediaPolicy
    | Secret
    | ConfigMap
    | BackendTLSPolicy
    | AuthenticationFilter
)
KINDS: tuple[type[Document], ...] = (
    RTSPRoute,
    Backend,
    Service,
    EndpointSlice,
    Gateway,
    UDPRoute,
    TCPRoute,
    MediaPolicy,
    Secret,
    ConfigMap,
    BackendTLSPolicy,
    AuthenticationFilter,
)

T = TypeVar("T", bound=Document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a document was written: a file and its text, or only a name of the place ("command line")."""

    file: str
    root: Node | None = None

    def line(self, path: FieldPath = ()) -> int | None:
        """The line of the field at `path`, counted from 1, if there is a text."""
        return self.root.line_of(path) if self.root is not None else None

    def place(self, path: FieldPath) -> str:
        """File and line of the field at `path`, for people."""
        line = self.line(path)
        return self.file if line is None else f"{self.file}:{line}"

    def __str__(self) -> str:
        return self.file if self.root is None else f"{self.file}:{self.root.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded(Generic[T]):
    """A valid document and where it came from."""

    document: T
    origin: Origin

    def problem(self, path: FieldPath, message: str) -> DocumentProblem:
        """A problem of this document."""
        return DocumentProblem(
            file=self.origin.file,
            line=self.origin.line(path),
            document=document_label(self.document),
            field=field_text(path),
            message=message,
        )


@dataclass(frozen=True, slots=True)
class Documents:
    """Valid documents of all kinds, each object once."""

    loaded: tuple[Loaded[Any], ...] = ()

    def of_kind(self, kind: type[T]) -> tuple[Loaded[T], ...]:
        """The documents of one kind, in the order in which they were read."""
        return tuple(item for item in self.loaded if isinstance(item.document, kind))

    @staticmethod
    def of(documents: Iterable[Document], *, place: str) -> Documents:
        """Documents that were not read from a file; `place` says where they come from."""
        origin = Origin(file=place)
        return Documents(tuple(Loaded(document=document, origin=origin) for document in documents))


def document_label(document: Document) -> str:
    """Kind and name, as in "RTSPRoute default/lobby"."""
    return f"{document.kind} {document.metadata.namespace}/{document.metadata.name}"


def object_name(document: Document) -> ObjectName:
    """Namespace and name of a document."""
    return ObjectName(document.metadata.namespace, document.metadata.name)
