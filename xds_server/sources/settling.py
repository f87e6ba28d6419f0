"""When is a changed file ready to be read? A pure decision: looks at the files go in, with the time of each.

Saving takes several steps: truncate and write, or write elsewhere and rename, or remove and create. So files are read
once they have stopped changing, and a file that vanished or is empty gets a moment to come back.
"""

from __future__ import annotations

from xds_server.sources.reading import FileState

# Seconds without a change after which nobody is writing.
SETTLE_TIME = 0.1
# Seconds for which a file may be away or empty while it is being replaced.
REPLACE_TIME = 0.5
# Seconds after which something that is always being written is read as it is.
MAX_WAIT = 5.0

Files = frozenset[FileState]


class Settling:
    """Remembers the files as they were last read (`seen`) and watches them change."""

    def __init__(self, seen: Files) -> None:
        self._seen = seen
        self._changing: Files | None = None
        self._began = 0.0
        self._changed = 0.0

    def look(self, files: Files, now: float) -> float | None:
        """What to do about the files as they are now.

        None: nothing has changed. 0: read them, they count as read from here on. Else look again after so many
        seconds.
        """
        if files == self._seen:
            self._changing = None
            return None
        if self._changing is None:
            self._began = now
        if files != self._changing:
            self._changing, self._changed = files, now
        wait = REPLACE_TIME if self._is_being_replaced(files) else SETTLE_TIME
        ready = min(self._changed + wait, self._began + MAX_WAIT)
        if now < ready:
            return ready - now
        self._seen, self._changing = files, None
        return 0.0

    def _is_being_replaced(self, files: Files) -> bool:
        there = {state.path for state in files if state.size > 0}
        return any(state.path not in there for state in self._seen if state.size > 0)
