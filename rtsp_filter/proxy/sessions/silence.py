"""Which sessions' media has fallen silent. A session is silent when all that should come over its relays is.

Tracks may be silent for good reasons, such as events of a camera where nothing happens; a whole session is not.
"""

from __future__ import annotations

from collections.abc import Collection


class Silence:
    """The silent relays of each session, and the sources that have been found silent."""

    def __init__(self) -> None:
        self._relays: dict[str, set[str]] = {}
        self._sources: dict[str, object] = {}

    def silent(self, session_id: str, relay_id: str, relays: Collection[str], source: object) -> bool:
        """A relay is silent; `relays` are all of its session, whose media should come from `source`. Gives whether the
        session has become silent by that, or is silent with another source than before."""
        known = self._relays.setdefault(session_id, set())
        known.intersection_update(relays)
        known.add(relay_id)
        if self._sources.get(session_id) is source or not known.issuperset(relays):
            return False
        self._sources[session_id] = source
        return True

    def flowing(self, session_id: str, relay_id: str) -> bool:
        """Media comes through a relay. Gives whether the session was silent, and is not any more."""
        self._relays.get(session_id, set()).discard(relay_id)
        return self._sources.pop(session_id, None) is not None

    def forget(self, session_id: str) -> None:
        """The session is over."""
        self._relays.pop(session_id, None)
        self._sources.pop(session_id, None)
