"""Changes of files reach the mesh whole, and only when they are good."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mesh.documents import DocumentErrors
from mesh.model import Slice
from xds_server.sources import FileSource

BACKEND = """\
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {name: lobby}
spec: {endpoints: [{name: a, address: %s}]}
"""
# Far more than settling and the slowest look take on a busy machine.
PATIENCE = 20.0


class Heard:
    """What the source reported, in order."""

    def __init__(self) -> None:
        self._reports: asyncio.Queue[Slice | DocumentErrors] = asyncio.Queue()

    def hear(self, report: Slice | DocumentErrors) -> None:
        self._reports.put_nowait(report)

    async def next(self) -> str:
        """The addresses in the next slice, or the next error."""
        async with asyncio.timeout(PATIENCE):
            report = await self._reports.get()
        if isinstance(report, DocumentErrors):
            return str(report)
        return _addresses(report)

    def nothing_more(self) -> bool:
        return self._reports.empty()


def _addresses(part: Slice) -> str:
    return " ".join(endpoint.address for backend in part.backends.values() for endpoint in backend.endpoints)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _rename(old: Path, new: Path) -> None:
    old.rename(new)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


@asynccontextmanager
async def _watching(*paths: Path) -> AsyncIterator[Heard]:
    heard = Heard()
    source = FileSource(paths, on_slice=heard.hear, on_error=heard.hear)
    source.load()
    task = asyncio.create_task(source.run())
    try:
        yield heard
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(PATIENCE):
                await task


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mesh.yaml"
    path.write_text(BACKEND % "one")
    return path


def test_the_first_look_is_the_slice_or_the_error(file: Path, tmp_path: Path) -> None:
    heard = Heard()
    assert _addresses(FileSource([file], on_slice=heard.hear, on_error=heard.hear).load()) == "one"
    with pytest.raises(DocumentErrors, match="there is no such file or folder"):
        FileSource([tmp_path / "x"], on_slice=heard.hear, on_error=heard.hear).load()
    assert heard.nothing_more()


async def test_a_file_written_again_is_read_again(file: Path) -> None:
    async with _watching(file) as heard:
        _write(file, BACKEND % "two")
        assert await heard.next() == "two"


async def test_a_file_put_in_the_place_of_the_old_one_is_read_each_time(file: Path) -> None:
    async with _watching(file) as heard:
        for address in ("two", "three"):
            _write(file.with_suffix(".new"), BACKEND % address)
            _rename(file.with_suffix(".new"), file)
            assert await heard.next() == address


async def test_a_bad_edit_is_reported_and_a_good_one_after_it_heals(file: Path) -> None:
    async with _watching(file) as heard:
        _write(file, BACKEND % "192.0.2.300")
        assert "mesh.yaml:4: Backend default/lobby: spec.endpoints[0].address" in await heard.next()
        _write(file, BACKEND % "two")
        assert await heard.next() == "two"
        assert heard.nothing_more()


async def test_a_file_removed_and_created_again_is_never_seen_missing(file: Path) -> None:
    async with _watching(file) as heard:
        _remove(file)
        _write(file, BACKEND % "two")
        assert await heard.next() == "two"
        assert heard.nothing_more()


async def test_a_file_that_stays_away_is_reported(file: Path) -> None:
    async with _watching(file) as heard:
        _remove(file)
        assert await heard.next() == f"{file}: there is no such file or folder"
        _write(file, BACKEND % "two")
        assert await heard.next() == "two"


async def test_files_and_folders_may_come_and_go_below_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "mesh"
    _write(folder / "empty.yaml", "")
    async with _watching(folder) as heard:
        _write(folder / "sub/a.yaml", BACKEND % "one")
        assert await heard.next() == "one"
        _write(folder / "sub/a.yaml", BACKEND % "two")
        assert await heard.next() == "two"
        _remove(folder / "sub")
        assert await heard.next() == ""
        _remove(folder)
        _write(folder / "b.yaml", BACKEND % "three")
        assert await heard.next() == "three"


async def test_other_files_beside_a_document_change_nothing(file: Path) -> None:
    async with _watching(file) as heard:
        _write(file.parent / "other.yaml", "not: ours")
        _write(file, BACKEND % "two")
        assert await heard.next() == "two"
        assert heard.nothing_more()
