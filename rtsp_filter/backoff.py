"""How long to wait before the next attempt to connect."""

from __future__ import annotations

FIRST_SECONDS = 0.05
"""A control plane that was just restarted is back within this, mostly."""
LONGEST_SECONDS = 1.0
"""No proxy stays without its control plane for longer than this once it is back: a control plane that has restarted
settles three seconds later, and every proxy must have had its tries by then."""
_FACTOR = 2.0


class Backoff:
    """Doubles up to a limit, with jitter so that many proxies do not come back at the same instant."""

    def __init__(self) -> None:
        self._bound = FIRST_SECONDS

    def reset(self) -> None:
        """An attempt was a success."""
        self._bound = FIRST_SECONDS

    def next_delay(self, chance: float) -> float:
        """Seconds to wait: between half the bound and all of it, as `chance` in [0, 1) has it."""
        bound = self._bound
        self._bound = min(LONGEST_SECONDS, bound * _FACTOR)
        return bound * (0.5 + chance / 2)
