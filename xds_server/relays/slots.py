"""Media slots: which ports a relay may have, and when a port may be used again.

A slot is four neighbouring UDP ports of the media proxy: an ingress pair, where the sender sends to, and an egress
pair, where the receiver sees media come from (RTP even, RTCP odd, RFC 3550 section 11). A pool keeps a number of slots
warm, that is, pushed to the proxy ahead of need; it grows when few are free and shrinks when many have long been.

A released slot rests. What may still arrive is a sender's packets, and nobody but the sender can stop those, so the
rest depends on whether the sender has confirmed that it stopped.

A slot that the media proxy does not listen at yet may still be refused by it (another program has one of its ports), so
slots where it listens go first, and refused ones are nobody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from xds_server.relays.slot_queue import SlotQueue

PORTS_PER_SLOT = 4

# A sender that confirmed TEARDOWN has stopped; packets already on the way arrive within this.
REST_AFTER_STOP = 1.0
# A sender that never confirmed goes on until its own session timeout, for which 60 s is the custom (RFC 2326 12.37).
REST_AFTER_LOSS = 90.0
# Slots kept warm from the start: two tracks each for sixteen sessions.
MINIMUM_WARM = 32
# With fewer free slots than this, more are warmed: a player that sets up two tracks never waits for growth.
LOW_WATERMARK = 16
# Free slots beyond this share of the pool are given up, after SHRINK_AFTER without need.
HIGH_WATERMARK_SHARE = 0.75
SHRINK_AFTER = 120.0
# A burst of players grows the pool by this share at once; single steps would push one listener at a time.
GROWTH_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotPorts:
    """The ports of one slot: RTP at the named port, RTCP at the next."""

    ingress: int
    egress: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotLayout:
    """A range of UDP ports (both ends included) cut into slots."""

    first_port: int
    last_port: int

    def __post_init__(self) -> None:
        if not 0 < self.first_port <= self.last_port <= 65535:
            raise ValueError(f"media ports {self.first_port}-{self.last_port} are not a range of UDP ports")
        if self.capacity < 1:
            raise ValueError(
                f"media ports {self.first_port}-{self.last_port} hold no slot: {PORTS_PER_SLOT} neighbouring ports"
                " from an even one are needed for each track"
            )

    @property
    def _base(self) -> int:
        return self.first_port + self.first_port % 2

    @property
    def capacity(self) -> int:
        """How many slots fit."""
        return (self.last_port + 1 - self._base) // PORTS_PER_SLOT

    def ports(self, slot: int) -> SlotPorts:
        """The ports of slot `slot`, counted from 0."""
        ingress = self._base + PORTS_PER_SLOT * slot
        return SlotPorts(ingress=ingress, egress=ingress + 2)


class SlotState(Enum):
    """What a warm slot is doing."""

    WARMING = "warming"  # free, but the media proxy has not said yet that it listens there
    FREE = "free"
    GRANTED = "granted"  # an RTSP proxy may open it without asking
    OPEN = "open"
    RESTING = "resting"
    REFUSED = "refused"  # the media proxy could not take it: another program has one of its ports


# States of slots that nobody uses and nobody may still send to.
_IDLE = (SlotState.WARMING, SlotState.FREE, SlotState.REFUSED)


class SlotPool:
    """Warm slots 0 … size-1. Time is in seconds of any monotonic clock; taking and releasing cost O(log size)."""

    def __init__(self, capacity: int, *, now: float, minimum: int = MINIMUM_WARM) -> None:
        self._capacity = capacity
        self._minimum = minimum
        self._states: list[SlotState] = []
        # Low numbers first, so that the top of the pool can be given up.
        self._idle = {SlotState.FREE: SlotQueue(), SlotState.WARMING: SlotQueue()}
        self._resting = SlotQueue()  # by end of rest
        self._listened: set[int] = set()
        self._refused: set[int] = set()
        self._counts = dict.fromkeys(SlotState, 0)
        self._ample_since: float | None = None
        self._grow_to(min(minimum, capacity))
        self._watch_surplus(now)

    @property
    def size(self) -> int:
        """How many slots are warm, or being warmed."""
        return len(self._states)

    @property
    def capacity(self) -> int:
        """How many slots there may be."""
        return self._capacity

    @property
    def listening(self) -> int:
        """At how many slots the media proxy listens."""
        return len(self._listened)

    def count(self, state: SlotState) -> int:
        """How many slots are in `state`."""
        return self._counts[state]

    def state(self, slot: int) -> SlotState:
        """What `slot` is doing."""
        return self._states[slot]

    def limit(self, capacity: int) -> None:
        """Never grow beyond `capacity` slots; warm ones stay."""
        self._capacity = max(capacity, self.size)

    def take(self, now: float, state: SlotState = SlotState.OPEN) -> int | None:
        """A free slot, which is open (or granted) from now on; None when all are in use, resting or refused.

        One where the media proxy does not listen yet is taken when there is no other.
        """
        self.tick(now)
        if not self._available():
            self._grow_if_low()
        first = self._idle[SlotState.FREE].first() or self._idle[SlotState.WARMING].first()
        if first is None:
            return None
        _, slot = first
        self._set(slot, state)
        self._grow_if_low()
        self._watch_surplus(now)
        return slot

    def open(self, slot: int) -> None:
        """A granted slot is used."""
        self._set(slot, SlotState.OPEN)

    def give_back(self, slot: int) -> None:
        """A slot that was granted was not used, so nobody sends to it: it is free at once."""
        self._set(slot, self._idle_state(slot))

    def claim(self, slot: int) -> bool:
        """Mark `slot` as open because its relay says so; False when it is not to be had."""
        if not 0 <= slot < self._capacity:
            return False
        if slot >= self.size:
            self._grow_to(slot + 1)
        if self._states[slot] in (SlotState.OPEN, SlotState.GRANTED):
            return False
        self._set(slot, SlotState.OPEN)
        return True

    def rest(self, slot: int, *, until: float) -> None:
        """`slot` is no longer open, or was never safe: it becomes free at `until`, or when a rest that it has ends."""
        if slot >= self.size:
            self._grow_to(slot + 1)
        self._set(slot, SlotState.RESTING)
        earlier = self._resting.key(slot)
        self._resting.put(slot, until if earlier is None else max(earlier, until))

    def listens(self, slot: int) -> None:
        """The media proxy listens at the ports of `slot`."""
        if slot < self.size and slot not in self._refused:
            self._listened.add(slot)
            self._file_again(slot)

    def refuse(self, slot: int) -> None:
        """The media proxy does not take `slot`: nobody gets it until `renew`, but who has it or was granted it."""
        if slot < self.size:
            self._refused.add(slot)
            self._listened.discard(slot)
            self._file_again(slot)

    def renew(self) -> None:
        """The media proxy is a new one: it listens nowhere yet, and may take what another refused."""
        self._listened.clear()
        self._refused.clear()
        for slot in range(self.size):
            self._file_again(slot)

    def tick(self, now: float) -> None:
        """Free what has rested; give up what has long been too many."""
        while (first := self._resting.first()) is not None and first[0] <= now:
            self._set(first[1], self._idle_state(first[1]))
        self._watch_surplus(now)
        if self._ample_since is not None and now - self._ample_since >= SHRINK_AFTER:
            self._shrink()
            self._ample_since = None
            self._watch_surplus(now)

    def next_timer(self) -> float | None:
        """When `tick` has something to do."""
        first = self._resting.first()
        times = [] if first is None else [first[0]]
        if self._ample_since is not None:
            times.append(self._ample_since + SHRINK_AFTER)
        return min(times, default=None)

    def _idle_state(self, slot: int) -> SlotState:
        if slot in self._refused:
            return SlotState.REFUSED
        return SlotState.FREE if slot in self._listened else SlotState.WARMING

    def _file_again(self, slot: int) -> None:
        if self._states[slot] in _IDLE:
            self._set(slot, self._idle_state(slot))

    def _set(self, slot: int, state: SlotState) -> None:
        """Every change of a state, so that the queues hold just the slots that are in theirs."""
        old = self._states[slot]
        if old is state:
            return
        self._leave(slot)
        self._states[slot] = state
        self._enter(slot)

    def _enter(self, slot: int) -> None:
        state = self._states[slot]
        self._counts[state] += 1
        if state in self._idle:
            self._idle[state].put(slot, slot)

    def _leave(self, slot: int) -> None:
        state = self._states[slot]
        self._counts[state] -= 1
        if state in self._idle:
            self._idle[state].drop(slot)
        elif state is SlotState.RESTING:
            self._resting.drop(slot)

    def _available(self) -> int:
        return self._counts[SlotState.FREE] + self._counts[SlotState.WARMING]

    def _grow_if_low(self) -> None:
        if self._available() < LOW_WATERMARK:
            step = max(LOW_WATERMARK, int(self.size * GROWTH_SHARE))
            self._grow_to(min(self.size + step, self._capacity))

    def _grow_to(self, size: int) -> None:
        for slot in range(self.size, size):
            self._states.append(SlotState.WARMING)
            self._enter(slot)

    def _watch_surplus(self, now: float) -> None:
        if self.size <= self._minimum or self._available() <= self.size * HIGH_WATERMARK_SHARE:
            self._ample_since = None
        elif self._ample_since is None:
            self._ample_since = now

    def _shrink(self) -> None:
        """Half of the pool at most, from the top, never past a slot that is in use."""
        target = max(self._minimum, self.size // 2)
        while self.size > target and self._states[-1] in _IDLE:
            slot = self.size - 1
            self._leave(slot)
            self._states.pop()
            self._listened.discard(slot)
            self._refused.discard(slot)
