"""What checks of several kinds of documents share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mesh.documents.backend_refs import BackendKind, BackendObjectReference, BackendRef
from mesh.documents.problems import FieldPath

Finding = tuple[FieldPath, str]
"""The path of the field at fault, and one sentence."""


def check_refs(refs: Sequence[BackendRef], at: FieldPath) -> Iterator[Finding]:
    """What is wrong with a rule's backendRefs by themselves."""
    for index, ref in enumerate(refs):
        yield from check_ref(ref, (*at, index))
    if all(ref.weight == 0 for ref in refs):
        yield at, "every weight is 0, so no backend would ever be chosen"


def check_ref(ref: BackendObjectReference, at: FieldPath) -> Iterator[Finding]:
    """What is wrong with a reference by itself."""
    if ref.group is not None and ref.group != ref.kind.group:
        yield (*at, "group"), f'the group of {ref.kind.value} is "{ref.kind.group}", not "{ref.group}"'
    if ref.kind is BackendKind.SERVICE and ref.port is None:
        yield at, f'a Service needs the field "port" (is "{ref.name}" of kind Backend? Then say kind: Backend)'
    if ref.kind is BackendKind.BACKEND and ref.port is not None:
        yield (*at, "port"), "a Backend's endpoints have their own ports; leave this field out"


def check_namespace(ref: BackendObjectReference, namespace: str, at: FieldPath) -> Iterator[Finding]:
    """That a backend is in the namespace of whoever refers to it: Gateway API asks the owner of another one, and with a
    Backend comes what its cameras are told."""
    if ref.namespace not in (None, namespace):
        yield (*at, "namespace"), "a backend of another namespace needs a ReferenceGrant, which is not supported yet"


def repeated(names: Iterable[str], at: FieldPath) -> Iterator[Finding]:
    """Names in the list at `at` that are there before."""
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        first = seen.setdefault(name, index)
        if first != index:
            yield (*at, index, "name"), f'the name "{name}" is taken by [{first}]'
