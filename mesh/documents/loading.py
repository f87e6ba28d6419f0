"""YAML text → documents, or all that is wrong with it.

A file may hold many documents. Every problem of every file is found in one pass and has its file, line, object and
field. Where there are problems, references are looked at too, as far as what they refer to can be told: one that may
lead to a document with a mistake is no mistake of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import ValidationError

from mesh.documents.base import DocumentModel
from mesh.documents.checks import check_document
from mesh.documents.foreign_kinds import instead_of
from mesh.documents.loaded import KINDS, Document, Documents, Loaded, Origin, document_label
from mesh.documents.messages import explain_validation, suggestion
from mesh.documents.problems import DocumentErrors, DocumentProblem, field_text
from mesh.documents.references import dangling_references
from mesh.documents.yaml_nodes import Node, YamlDocument, YamlError, parse_yaml
from mesh.model import ObjectName

# Ten thousand routes with their backends fit into one file.
MAX_FILE_CHARACTERS = 8 * 1024 * 1024
# All files of one source together.
MAX_DOCUMENTS = 50_000
# Enough to repair; a wrong file (a video, a log) must not flood the terminal.
MAX_PROBLEMS = 200


def load_documents(sources: Iterable[tuple[str, str]]) -> Documents:
    """Documents from (file name, text) pairs. Raises DocumentErrors with all problems found."""
    loader = _Loader()
    for file, text in sources:
        loader.read(file, text)
    return loader.finish()


class _Loader:
    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._loaded: list[Loaded[Any]] = []
        self._problems: list[DocumentProblem] = []
        self._seen: dict[str, Origin] = {}
        self._count = 0
        self._damaged: set[ObjectName] = set()
        self._nameless = False

    def read(self, file: str, text: str) -> None:
        self._files.setdefault(file, len(self._files))
        if len(text) > MAX_FILE_CHARACTERS:
            self._break_off(file, f"larger than {MAX_FILE_CHARACTERS} characters")
            return
        try:
            for document in parse_yaml(text):
                self._count += 1
                if self._count > MAX_DOCUMENTS:
                    raise YamlError(f"more than {MAX_DOCUMENTS} documents", document.root.line)
                self._read_document(Origin(file=file, root=document.root), document)
        except YamlError as error:
            self._break_off(file, error.message, line=error.line)

    def finish(self) -> Documents:
        documents = Documents(tuple(self._loaded))
        if not self._problems:
            return documents
        if not self._nameless:
            self._problems += dangling_references(documents, spared=frozenset(self._damaged))
        raise DocumentErrors(_limited(sorted(self._problems, key=self._place)))

    def _place(self, problem: DocumentProblem) -> tuple[int, int]:
        return self._files[problem.file], problem.line or 0

    def _report(self, file: str, message: str, **place: Any) -> None:
        self._problems.append(DocumentProblem(file=file, message=message, **place))

    def _break_off(self, file: str, message: str, **place: Any) -> None:
        """What follows in the file is not known, so neither is what it is called."""
        self._report(file, message, **place)
        self._nameless = True

    def _read_document(self, origin: Origin, document: YamlDocument) -> None:
        before = len(self._problems)
        label = _raw_label(document.root, self._count)
        for duplicate in document.duplicates:
            message = f"this key is already on line {duplicate.first_line}"
            self._report(origin.file, message, line=duplicate.line, document=label, field=field_text(duplicate.path))
        kind = _kind_of(document.root)
        if isinstance(kind, str):
            self._report(origin.file, kind, line=document.root.line, document=label)
            value = None
        else:
            value = self._validate(kind, origin, document.root, label)
        if value is not None and len(self._problems) == before:
            self._loaded.append(Loaded(document=value, origin=origin))
        else:
            self._set_aside(document.root, self._problems[before:])

    def _validate(self, kind: type[Document], origin: Origin, root: Node, label: str) -> Document | None:
        """The document; None when it cannot be made. Reports what is wrong with it."""
        try:
            value = kind.model_validate(root.plain(), by_alias=True, by_name=False)
        except ValidationError as error:
            found = [(root.line_of(path), path, message) for path, message in explain_validation(error, kind)]
            for line, path, message in sorted(found, key=lambda item: item[0]):
                self._report(origin.file, message, line=line, document=label, field=field_text(path))
            return None
        loaded = Loaded(document=value, origin=origin)
        self._problems += [loaded.problem(path, message) for path, message in check_document(value)]
        first = self._seen.setdefault(document_label(value), origin)
        if first is not origin:
            self._problems.append(loaded.problem((), f"already defined at {first}"))
        return value

    def _set_aside(self, root: Node, problems: Sequence[DocumentProblem]) -> None:
        """Keep the name of a document that has mistakes, or that there is one whose name cannot be told."""
        name = _raw_name(root)
        if name is None or any(problem.field.startswith("metadata") for problem in problems):
            self._nameless = True
        else:
            self._damaged.add(name)


def _limited(problems: Sequence[DocumentProblem]) -> list[DocumentProblem]:
    shown = list(problems[:MAX_PROBLEMS])
    if len(problems) > MAX_PROBLEMS:
        shown.append(DocumentProblem(file="…", message=f"and {len(problems) - MAX_PROBLEMS} more problems"))
    return shown


def _raw_label(root: Node, number: int) -> str:
    """What to call a document that may not be valid, as far as it can be told."""
    kind, name = root.get("kind"), _raw_name(root)
    if not isinstance(kind, str):
        return f"document {number}"
    return kind if name is None else f"{kind} {name}"


def _raw_name(root: Node) -> ObjectName | None:
    """The name of a document that may not be valid; None if it has none."""
    entry = root.content.get("metadata") if isinstance(root.content, dict) else None
    name = entry.node.get("name") if entry is not None else None
    if entry is None or not isinstance(name, str):
        return None
    return ObjectName(str(entry.node.get("namespace") or "default"), name)


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
        instead = suggestion(kind, models) or "; known are " + ", ".join(models)
        return f'unknown kind "{kind}"{instead_of(kind) or instead}'
    versions = get_args(model.model_fields["api_version"].annotation)
    if version not in versions:
        known = " or ".join(f'"{known}"' for known in versions)
        return f'{kind} is of apiVersion {known}, not "{version}"'
    return model


def _default(model: type[DocumentModel], field: str) -> str:
    return str(model.model_fields[field].default)
