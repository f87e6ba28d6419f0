"""Documents from files and folders, read again whenever they change.

A change is everything that the files say then, read as a whole: either it is all good and replaces the slice, or the
last good slice stays and the problems are reported.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path

from watchfiles import awatch

from mesh.documents import DocumentErrors
from mesh.model import Slice
from xds_server.sources.reading import folders_to_watch, load, states
from xds_server.sources.settling import Settling

# Milliseconds between looks that no event asked for. They find what events do not tell: network file systems, and
# changes in the instant before a new folder is watched.
LOOK_INTERVAL_MS = 2000
# Milliseconds over which the watcher gathers events of one save.
GATHER_MS = 50


class FileSource:
    """Watches `paths`. `load` reads them at the start; `run` reports what they become."""

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        on_slice: Callable[[Slice], None],
        on_error: Callable[[DocumentErrors], None],
    ) -> None:
        self._paths = tuple(paths)
        self._on_slice = on_slice
        self._on_error = on_error
        self._settling = Settling(frozenset())

    def load(self) -> Slice:
        """The slice as the files are now. Raises DocumentErrors."""
        self._settling = Settling(states(self._paths))
        return load(self._paths)

    async def run(self) -> None:
        """Report every change until cancelled: a new slice, or what is wrong with the files."""
        while True:
            await self._refresh()
            with suppress(FileNotFoundError):  # a folder went between listing and watching: list again
                await self._watch(folders_to_watch(self._paths))

    async def _watch(self, watched: frozenset[tuple[Path, int]]) -> None:
        """Report changes until other folders need to be watched."""
        changes = awatch(
            *(folder for folder, _ in watched),
            watch_filter=None,
            recursive=False,
            step=GATHER_MS,
            rust_timeout=LOOK_INTERVAL_MS,
            yield_on_timeout=True,
        )
        async with aclosing(changes):
            async for _ in changes:
                await self._refresh()
                if folders_to_watch(self._paths) != watched:
                    return

    async def _refresh(self) -> None:
        """Read the files if they have changed, once they have settled."""
        while (delay := self._settling.look(states(self._paths), time.monotonic())) is not None:
            if delay > 0:
                await asyncio.sleep(delay)
            else:
                await self._read()

    async def _read(self) -> None:
        try:
            part = await asyncio.to_thread(load, self._paths)
        except DocumentErrors as error:
            self._on_error(error)
        else:
            self._on_slice(part)
