"""What need not be said again so soon: whoever tries again every second fails for the same reason every time."""

from __future__ import annotations

import math

# Often enough to be found at the end of a log, seldom enough not to fill it.
REPEAT_SECONDS = 30.0
# More texts than this are forgotten at once: what is said is bounded, and repeats are told too often at worst.
MAX_TEXTS = 256


class Repeats:
    """Remembers when something was said."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def fresh(self, text: str, now: float) -> bool:
        """Whether `text` was not said for REPEAT_SECONDS; then it counts as said at `now` (seconds, monotonic)."""
        if now - self._said.get(text, -math.inf) < REPEAT_SECONDS:
            return False
        if len(self._said) >= MAX_TEXTS:
            self._said.clear()
        self._said[text] = now
        return True
