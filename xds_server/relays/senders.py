"""Whose packets each slot takes.

A slot that is for one sender has that in its listeners, and Envoy keeps every listener that was replaced for a while.
So a slot that is free stays as its last relay had it, since the next one is often for the same camera, and changes are
counted: when there were too many, no relay that is for one sender is opened for a time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

# Envoy lets replaced listeners drain for ten minutes (its --drain-time-s), sockets and all.
CHANGES_WINDOW = 600.0
# In that time; each keeps 28 KB and two files for each worker of Envoy, so that is 56 MB. A slot that takes anybody
# again is a change too, which is never refused: there are at most as many of them.
MAX_CHANGES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Whose packets a track takes: an IP address, and the UDP ports of RTP and RTCP. None: any."""

    address: str
    rtp_port: int | None = None
    rtcp_port: int | None = None


class SlotSenders:
    """The senders of slots, in use or free. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._senders: dict[int, Sender] = {}
        self._changes: deque[float] = deque()

    def of(self, slot: int) -> Sender | None:
        """Whose packets `slot` takes; None: anybody's."""
        return self._senders.get(slot)

    def set(self, slot: int, sender: Sender | None, now: float, *, known: bool = False) -> None:
        """From now on `slot` takes these; `known`: it does so already, which we had only not heard of."""
        if self._senders.get(slot) == sender:
            return
        if sender is None:
            del self._senders[slot]
        else:
            self._senders[slot] = sender
            if not known:
                self._changes.append(now)

    def refusal(self, now: float) -> str | None:
        """Why no more slots may become one sender's for now; None when they may."""
        while self._changes and self._changes[0] <= now - CHANGES_WINDOW:
            self._changes.popleft()
        if len(self._changes) < MAX_CHANGES:
            return None
        return (
            f"media slots got other senders {MAX_CHANGES} times in {CHANGES_WINDOW / 60:.0f} minutes; try again later"
        )
