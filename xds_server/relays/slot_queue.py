"""Slots in the order of a key: the smallest first, any of them taken out at O(log n).

A heap cannot give up an entry in its middle, so an entry that does not count any more stays until it is met or until
such entries are the most; which key of a slot counts is in a dictionary, once for each slot.
"""

from __future__ import annotations

import heapq

# Entries that do not count are swept once there are more than this many besides the others: sweeping costs O(n), and
# comes after at least that many calls.
_SWEEP_ABOVE = 64


class SlotQueue:
    """Slots by key. A slot is in it once."""

    def __init__(self) -> None:
        self._keys: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._keys)

    def key(self, slot: int) -> float | None:
        """The key of `slot`; None when it is not here."""
        return self._keys.get(slot)

    def put(self, slot: int, key: float) -> None:
        """Add `slot`, or give it another key."""
        if self._keys.get(slot) == key:
            return
        self._keys[slot] = key
        heapq.heappush(self._heap, (key, slot))
        self._sweep()

    def drop(self, slot: int) -> None:
        """Take `slot` out, if it is here."""
        if self._keys.pop(slot, None) is not None:
            self._sweep()

    def first(self) -> tuple[float, int] | None:
        """The smallest key and its slot."""
        while self._heap:
            key, slot = self._heap[0]
            if self._keys.get(slot) == key:
                return key, slot
            heapq.heappop(self._heap)
        return None

    def _sweep(self) -> None:
        if len(self._heap) > 2 * len(self._keys) + _SWEEP_ABOVE:
            self._heap = [(key, slot) for slot, key in self._keys.items()]
            heapq.heapify(self._heap)
