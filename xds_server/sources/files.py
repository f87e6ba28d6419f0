"""Documents from files and folders, read again whenever they change.

A change is everything that the files say then, read as a whole: either it is all good and replaces the slice, or the
last good slice stays and the problems are reported. Saving a file happens in several steps (truncate and write, or
write elsewhere and rename, or remove and create), so files are read only once they have stopped changing, and a file
that vanished or is empty gets a moment to come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path

from watchfiles import awatch

from mesh.documents import DocumentErrors
from mesh.model import Slice
from xds_server.sources.reading import FileState, folders_to_watch, load, states

# Seconds. Two looks this far apart that see the same mean that nobody is writing.
SETTLE_TIME = 0.1
# Seconds for which a file may be away or empty while it is being replaced.
REPLACE_TIME = 0.5
# Looks until we read anyway: something that is always being written is read as it is.
MAX_LOOKS = 20
# Milliseconds between looks that no event asked for. They find what events do not tell: network file systems, and
# changes in the instant before a new folder is watched.
LOOK_INTERVAL_MS = 2000
# Milliseconds over which the watcher gathers events of one save.
GATHER_MS = 50

Signature = frozenset[FileState]


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
        self._seen: Signature = frozenset()

    def load(self) -> Slice:
        """The slice as the files are now. Raises DocumentErrors."""
        self._seen = states(self._paths)
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
        now = states(self._paths)
        if now == self._seen:
            return
        self._seen = await self._settled(now)
        try:
            part = await asyncio.to_thread(load, self._paths)
        except DocumentErrors as error:
            self._on_error(error)
        else:
            self._on_slice(part)

    async def _settled(self, now: Signature) -> Signature:
        """The state of the files once they have stopped changing."""
        for _ in range(MAX_LOOKS):
            await asyncio.sleep(REPLACE_TIME if self._is_being_replaced(now) else SETTLE_TIME)
            before, now = now, states(self._paths)
            if now == before:
                break
        return now

    def _is_being_replaced(self, now: Signature) -> bool:
        there = {state.path for state in now if state.size > 0}
        return any(state.path not in there for state in self._seen)
