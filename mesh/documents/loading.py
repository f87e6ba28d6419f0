"""YAML text → documents, or all that is wrong with it.

A file may hold many documents. Every problem of every file is found in one pass and has its file, line, object and
field. References between documents are the business of `compile`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from mesh.documents.backend import Backend
from mesh.documents.base import DocumentModel
from mesh.documents.checks import check_document
from mesh.documents.kubernetes import EndpointSlice, Service
from mesh.documents.messages import explain_validation, suggestion
from mesh.documents.problems import DocumentErrors, DocumentProblem, FieldPath, field_text
from mesh.documents.rtsp_route import RTSPRoute
from mesh.documents.yaml_nodes import Node, YamlDocument, YamlError, parse_yaml

# Ten thousand routes with their backends fit into one file.
MAX_FILE_CHARACTERS = 8 * 1024 * 1024
# All files of one source together.
MAX_DOCUMENTS = 50_000
# Enough to repair; a wrong file (a video, a log) must not flood the terminal.
MAX_PROBLEMS = 200

Document = RTSPRoute | Backend | Service | EndpointSlice
KINDS: tuple[type[Document], ...] = (RTSPRoute, Backend, Service, EndpointSlice)

T = TypeVar("T", bound=Document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a document was written: a file and its text, or only a name of the place ("command line")."""

    file: str
    root: Node | None = None

    def line(self, path: FieldPath = ()) -> int | None:
        """The line of the field at `path`, counted from 1, if there is a text."""
        return self.root.line_of(path) if self.root is not None else None

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


def load_documents(sources: Iterable[tuple[str, str]]) -> Documents:
    """Documents from (file name, text) pairs. Raises DocumentErrors with all problems found."""
    loader = _Loader()
    for file, text in sources:
        loader.read(file, text)
    return loader.finish()


class _Loader:
    def __init__(self) -> None:
        self._loaded: list[Loaded[Any]] = []
        self._problems: list[DocumentProblem] = []
        self._seen: dict[str, Origin] = {}
        self._count = 0

    def read(self, file: str, text: str) -> None:
        if len(text) > MAX_FILE_CHARACTERS:
            self._report(file, f"larger than {MAX_FILE_CHARACTERS} characters")
            return
        try:
            for document in parse_yaml(text):
                self._count += 1
                if self._count > MAX_DOCUMENTS:
                    raise YamlError(f"more than {MAX_DOCUMENTS} documents", document.root.line)
                self._read_document(Origin(file=file, root=document.root), document)
        except YamlError as error:
            self._report(file, error.message, line=error.line)

    def finish(self) -> Documents:
        if self._problems:
            raise DocumentErrors(_limited(self._problems))
        return Documents(tuple(self._loaded))

    def _report(self, file: str, message: str, **place: Any) -> None:
        self._problems.append(DocumentProblem(file=file, message=message, **place))

    def _read_document(self, origin: Origin, document: YamlDocument) -> None:
        label = _raw_label(document.root, self._count)
        for duplicate in document.duplicates:
            message = f"this key is already on line {duplicate.first_line}"
            self._report(origin.file, message, line=duplicate.line, document=label, field=field_text(duplicate.path))
        kind = _kind_of(document.root)
        if isinstance(kind, str):
            self._report(origin.file, kind, line=document.root.line, document=label)
        else:
            self._validate(kind, origin, document.root, label)

    def _validate(self, kind: type[Document], origin: Origin, root: Node, label: str) -> None:
        try:
            value = kind.model_validate(root.plain(), by_alias=True, by_name=False)
        except ValidationError as error:
            found = [(root.line_of(path), path, message) for path, message in explain_validation(error, kind)]
            for line, path, message in sorted(found, key=lambda item: item[0]):
                self._report(origin.file, message, line=line, document=label, field=field_text(path))
            return
        loaded = Loaded(document=value, origin=origin)
        self._problems += [loaded.problem(path, message) for path, message in check_document(value)]
        first = self._seen.setdefault(document_label(value), origin)
        if first is not origin:
            self._problems.append(loaded.problem((), f"already defined at {first}"))
        self._loaded.append(loaded)


def _limited(problems: Sequence[DocumentProblem]) -> list[DocumentProblem]:
    shown = list(problems[:MAX_PROBLEMS])
    if len(problems) > MAX_PROBLEMS:
        shown.append(DocumentProblem(file="…", message=f"and {len(problems) - MAX_PROBLEMS} more problems"))
    return shown


def _raw_label(root: Node, number: int) -> str:
    """The name of a document that may not be valid, as far as it can be told."""
    kind = root.get("kind")
    if not isinstance(kind, str):
        return f"document {number}"
    entry = root.content.get("metadata") if isinstance(root.content, dict) else None
    name = entry.node.get("name") if entry is not None else None
    if entry is None or not isinstance(name, str):
        return kind
    return f"{kind} {entry.node.get('namespace') or 'default'}/{name}"


def _kind_of(root: Node) -> type[Document] | str:
    """The model of a document, or why there is none."""
    if not isinstance(root.content, dict):
        return 'a document is a mapping with "apiVersion", "kind", "metadata" and "spec"'
    kind, version = root.get("kind"), root.get("apiVersion")
    if not isinstance(kind, str):
        return 'the field "kind" is missing'
    if not isinstance(version, str):
        return 'the field "apiVersion" is missing'
    models = {_default(model, "kind"): model for model in KINDS}
    model = models.get(kind)
    if model is None:
        return f'unknown kind "{kind}"{suggestion(kind, models) or "; known are " + ", ".join(models)}'
    if version != _default(model, "api_version"):
        return f'{kind} is of apiVersion "{_default(model, "api_version")}", not "{version}"'
    return model


def _default(model: type[DocumentModel], field: str) -> str:
    return str(model.model_fields[field].default)
