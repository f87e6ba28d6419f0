"""Files and folders on disk → texts → a slice of the mesh. Nothing here waits or watches.

A folder means every `*.yaml` and `*.yml` below it. Names that begin with a dot are left out: editors' swap files, and
the folders behind the links of a mounted ConfigMap.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mesh.documents import DocumentErrors, DocumentProblem, compile_documents, load_documents
from mesh.documents.loading import MAX_FILE_CHARACTERS
from mesh.model import Slice

SUFFIXES = (".yaml", ".yml")
# What slices from here call themselves.
SOURCE = "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """What tells one state of a file from the next without reading it."""

    path: Path
    inode: int
    changed_ns: int
    size: int


def check(paths: Iterable[Path]) -> tuple[DocumentProblem, ...]:
    """All that is wrong with the documents in files and folders; empty when a mesh could be made of them."""
    try:
        load(paths)
    except DocumentErrors as error:
        return error.problems
    return ()


def load(paths: Iterable[Path]) -> Slice:
    """The slice that files and folders describe. Raises DocumentErrors, also for what cannot be read."""
    texts: list[tuple[str, str]] = []
    problems: list[DocumentProblem] = []
    for path in paths:
        if not path.exists():
            problems.append(DocumentProblem(file=str(path), message="there is no such file or folder"))
        for file in files_in(path):
            try:
                texts.append((str(file), _read(file)))
            except (OSError, ValueError) as error:
                problems.append(DocumentProblem(file=str(file), message=_reason(error)))
    if problems:
        raise DocumentErrors(problems)
    return compile_documents(load_documents(texts), source=SOURCE)


def files_in(path: Path) -> Iterator[Path]:
    """The file itself, or the documents' files below a folder, by name."""
    if path.is_dir():
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            documents = (name for name in names if name.endswith(SUFFIXES) and not name.startswith("."))
            yield from (Path(folder, name) for name in sorted(documents))
    elif path.exists():
        yield path


def states(paths: Iterable[Path]) -> frozenset[FileState]:
    """The state of every file now; files that cannot be looked at are left out."""
    found = set()
    for file in (file for path in paths for file in files_in(path)):
        try:
            info = file.stat()
        except OSError:
            continue
        found.add(FileState(path=file, inode=info.st_ino, changed_ns=info.st_mtime_ns, size=info.st_size))
    return frozenset(found)


def folders_to_watch(paths: Sequence[Path]) -> frozenset[tuple[Path, int]]:
    """Folders (with their inodes) in which a change may concern us.

    A path's own folder is one of them, because editors put a new file in the place of the old one; if that is gone,
    the nearest one above it that is not.
    """
    found: set[Path] = set()
    for path in paths:
        found.add(next(folder for folder in path.absolute().parents if folder.is_dir()))
        if path.is_dir():
            found.update(Path(folder).absolute() for folder, _, _ in os.walk(path))
    return frozenset((folder, folder.stat().st_ino) for folder in found if folder.is_dir())


def _read(file: Path) -> str:
    info = file.stat()
    if not stat.S_ISREG(info.st_mode):
        raise ValueError("not a regular file")
    if info.st_size > MAX_FILE_CHARACTERS:
        raise ValueError(f"larger than {MAX_FILE_CHARACTERS} bytes")
    return file.read_text(encoding="utf-8")


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text (at byte {error.start})"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    return str(error)
