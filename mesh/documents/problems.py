"""What is wrong with documents: where, in which object, in which field, and why.

All problems of a set of documents travel together, so that one look at the output is enough to repair them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mesh.model import MeshError

# Where a value is in a document: names of fields and indexes of lists, from the top.
FieldPath = tuple[str | int, ...]


def field_text(path: FieldPath) -> str:
    """The path as people write it: `spec.rules[0].name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentProblem:
    """One mistake.

    `line` counts from 1 and is None where the text is not at hand; `document` names the object ("RTSPRoute
    default/lobby") and `field` the place in it; both are empty for what concerns the file as a whole.
    """

    file: str
    message: str
    line: int | None = None
    document: str = ""
    field: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.document, self.field, self.message) if part)


class DocumentErrors(MeshError):  # noqa: N818 - several problems at once
    """Documents that cannot be used: `problems` has all that was found, in the order of files and lines."""

    def __init__(self, problems: Iterable[DocumentProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
