"""All relays and sessions, and whose they are: the pure heart of the relay service.

RTSP proxies open and close relays; the registry gives each a slot, says which receiver every slot has, and answers a
relay as ready once the media proxy has acknowledged that. What has to be told to whom collects in `messages` and
`changed_slots` until the shell takes it: current state, one entry a slot, never a growing queue.

After a restart the registry knows nothing, while relays live on in the proxies and in Envoy. Until it has *settled*,
it gives no slot to anybody new: a slot that looks free may be somebody's who has not yet come back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from xds_server.relays.relay import (
    Allocated,
    Failed,
    FailureReason,
    Granted,
    Ready,
    Receiver,
    Relay,
    RelayMessage,
    RelayState,
)
from xds_server.relays.senders import Sender, SlotSenders
from xds_server.relays.slots import REST_AFTER_LOSS, REST_AFTER_STOP, SlotPool, SlotState

# An open that the media proxy has not acknowledged by then fails: a player waits about ten seconds for a SETUP.
OPEN_TIMEOUT = 5.0
# RTSP proxies reconnect at least once a second; with this much time all that live have stated their relays.
SETTLE_TIME = 3.0
# A proxy that is gone for longer than an RTSP session lives (RFC 2326 section 12.37) has no sessions any more.
LOST_PROXY_GRACE = 60.0
# Slots granted ahead to each proxy: two tracks each for four players that come at once.
GRANTED_SLOTS = 8
# A proxy with no more than this many gets the others at once: a message for every other player.
REFILL_GRANTS_AT = 4
# Free slots that no grant takes: whoever opens a relay without a grant finds one.
UNGRANTED_SLOTS = 8
# Opens that wait at once, over all proxies: as many as there can be slots in 65,536 ports.
MAX_PENDING = 16384


class RelayRegistry:
    """Relays by id. `acknowledged(slot)` says whether the media proxy has just what this registry says of a slot."""

    def __init__(
        self, pool: SlotPool, acknowledged: Callable[[int], bool], *, now: float, settle_time: float = SETTLE_TIME
    ) -> None:
        self.pool = pool
        self.relays: dict[str, Relay] = {}
        self.changed_slots: set[int] = set()
        self.messages: list[tuple[str, RelayMessage]] = []
        self.refusals: dict[int, str] = {}  # by slot, in the media proxy's words
        self._acknowledged = acknowledged
        self._by_slot: dict[int, str] = {}
        self._senders = SlotSenders()
        self._pending: dict[str, None] = {}  # opens with a deadline, earliest first: all wait equally long
        self._lost: dict[str, float] = {}  # proxies that went away, and until when their relays are kept
        self._departed: list[str] = []
        self._grants: dict[str, set[int]] = {}  # by proxies that are connected
        self._settle_at: float | None = now + settle_time if settle_time > 0 else None

    @property
    def settled(self) -> bool:
        """Whether slots may be given to new relays."""
        return self._settle_at is None

    def occupied(self, slot: int) -> bool:
        """Whether `slot` is some relay's."""
        return slot in self._by_slot

    def receiver(self, slot: int) -> Receiver | None:
        """Who gets what arrives at `slot`; None: nobody, or nobody yet."""
        relay_id = self._by_slot.get(slot)
        return None if relay_id is None else self.relays[relay_id].receiver

    def sender(self, slot: int) -> Sender | None:
        """Whose packets `slot` takes, or took when it was last in use; None: anybody's."""
        return self._senders.of(slot)

    def state(self, owner: str, held: Mapping[str, tuple[Relay, int]], now: float) -> None:
        """Proxy `owner` states all its relays with their slots: what it leaves out is released."""
        self._lost.pop(owner, None)
        self._end_grants(owner)
        for relay in [relay for relay in self.relays.values() if relay.owner == owner]:
            if relay.relay_id not in held:
                self._release(relay, REST_AFTER_LOSS, now)
        for relay, slot in held.values():
            self._restate(relay, slot, now)
        self._grants[owner] = set()
        self._grant(owner, now)

    def open(self, relay: Relay, now: float) -> None:
        """A proxy wants a relay, or another receiver or sender, or none, for one. What is known already is answered,
        not opened twice."""
        known = self.relays.get(relay.relay_id)
        if known is not None:
            if known.owner == relay.owner and known.ends != relay.ends:
                self._move(known, relay, now)
            else:
                self._repeat(known)
            return
        if len(self._pending) >= MAX_PENDING:
            self._fail(relay, FailureReason.REFUSED, f"{MAX_PENDING} relays are waiting to be opened already")
            return
        if relay.slot is not None and relay.slot not in self._grants.get(relay.owner, ()):
            self._fail(relay, FailureReason.REFUSED, f"slot {relay.slot} was not granted to {relay.owner}")
            return
        if relay.sender is not None and (refusal := self._senders.refusal(now)) is not None:
            self._return_grant(relay)
            self._fail(relay, FailureReason.NO_FREE_SLOT, refusal)
            return
        self._pending[relay.relay_id] = None
        if relay.slot is not None:
            self._use_grant(replace(relay, state=RelayState.OPENING, deadline=now + OPEN_TIMEOUT), relay.slot, now)
            self._grant(relay.owner, now)
            return
        self.relays[relay.relay_id] = replace(relay, state=RelayState.WAITING, deadline=now + OPEN_TIMEOUT)
        if self.settled:
            self._allocate(relay.relay_id, now)
            self._grant(relay.owner, now)

    def _move(self, relay: Relay, wanted: Relay, now: float) -> None:
        """The relay leads elsewhere, or from elsewhere, once the media proxy has acknowledged that."""
        moved = replace(relay, receiver=wanted.receiver, sender=wanted.sender)
        if relay.slot is None:  # it waits for one
            self.relays[relay.relay_id] = moved
            return
        if moved.sender not in (None, relay.sender) and (refusal := self._senders.refusal(now)) is not None:
            # Its sender may have been asked already.
            self._release(relay, REST_AFTER_LOSS, now)
            self._fail(relay, FailureReason.NO_FREE_SLOT, refusal)
            return
        self._pending.pop(relay.relay_id, None)
        self._pending[relay.relay_id] = None
        moving = replace(moved, state=RelayState.OPENING, deadline=now + OPEN_TIMEOUT)
        self._occupy(moving, relay.slot, now)
        if relay.slot in self.refusals:
            self._fail_rejected(moving, relay.slot, self.refusals[relay.slot], now)

    def close(self, owner: str, relay_id: str, *, sender_stopped: bool, now: float) -> None:
        """A proxy gives a relay back; one that it does not own is left alone."""
        relay = self.relays.get(relay_id)
        if relay is not None and relay.owner == owner:
            self._release(relay, REST_AFTER_STOP if sender_stopped else REST_AFTER_LOSS, now)

    def is_open(self, relay_id: str) -> bool:
        """Whether a relay has a slot."""
        relay = self.relays.get(relay_id)
        return relay is not None and relay.slot is not None

    def hand_over(self, relay_ids: Iterable[str], owner: str) -> tuple[Relay, ...]:
        """Another owner goes on with these relays, as far as they are there; media does not notice."""
        handed = [replace(self.relays[relay_id], owner=owner) for relay_id in relay_ids if relay_id in self.relays]
        self.relays.update((relay.relay_id, relay) for relay in handed)
        return tuple(handed)

    def proxy_lost(self, owner: str, now: float) -> None:
        """A proxy's stream ended: its relays stay until it is back, or too long gone."""
        self._lost[owner] = now + LOST_PROXY_GRACE
        self._end_grants(owner)

    def take_departed(self) -> list[str]:
        """Proxies that have been gone for too long since the last call: whatever they held is released."""
        departed, self._departed = self._departed, []
        return departed

    def slots_acknowledged(self, slots: Iterable[int]) -> None:
        """The media proxy acknowledged something of these slots."""
        for slot in slots:
            relay_id = self._by_slot.get(slot)
            if relay_id is not None and self.relays[relay_id].state is RelayState.OPENING and self._acknowledged(slot):
                self._ready(self.relays[relay_id])

    def slots_listen(self, slots: Iterable[int], now: float) -> None:
        """The media proxy listens at these slots: they can be granted."""
        for slot in slots:
            self.pool.listens(slot)
        for owner in self._grants:
            self._grant(owner, now)

    def slot_rejected(self, slot: int, message: str, now: float) -> None:
        """The media proxy refused this slot: it is of no use until the proxy starts anew."""
        self.refusals[slot] = message
        self.pool.refuse(slot)
        self.receiver_rejected(slot, message, now)

    def receiver_rejected(self, slot: int, message: str, now: float) -> None:
        """The media proxy refused what this slot should send to: a relay that waits for it fails."""
        relay_id = self._by_slot.get(slot)
        if relay_id is not None and relay_id in self._pending:
            self._fail_rejected(self.relays[relay_id], slot, message, now)

    def media_proxy_renewed(self) -> None:
        """A media proxy has started: what an earlier one refused may be tried again."""
        self.refusals.clear()
        self.pool.renew()

    def postpone_settling(self, until: float) -> None:
        """Settle no earlier than `until`: the media proxy has not yet said what it has."""
        if self._settle_at is not None:
            self._settle_at = max(self._settle_at, until)

    def settle(self, unclean: Iterable[int], now: float) -> None:
        """All proxies that live have spoken. `unclean`: slots without a relay that may have a receiver in Envoy."""
        self._settle_at = None
        for slot in unclean:
            self.pool.rest(slot, until=now + REST_AFTER_LOSS)
        for relay_id in [relay_id for relay_id in self._pending if self.relays[relay_id].state is RelayState.WAITING]:
            self._allocate(relay_id, now)
        for owner in self._grants:
            self._grant(owner, now)

    def tick(self, now: float) -> None:
        """Fail opens that waited too long; release relays of proxies that stayed away; let slots rest out."""
        self.pool.tick(now)
        while self._pending and self.relays[first := next(iter(self._pending))].deadline <= now:
            relay = self.relays[first]
            # Its sender may have been asked already, and the rest of its session may play.
            self._release(relay, REST_AFTER_LOSS, now)
            self._fail(relay, FailureReason.MEDIA_PROXY_UNAVAILABLE, self._late())
        for owner in [owner for owner, until in self._lost.items() if until <= now]:
            del self._lost[owner]
            self._departed.append(owner)
            for relay in [relay for relay in self.relays.values() if relay.owner == owner]:
                self._release(relay, REST_AFTER_LOSS, now)

    def next_timer(self) -> float | None:
        """When `tick` (or, before it has settled, `settle`) is due."""
        times = [] if self._settle_at is None else [self._settle_at]
        if self._pending:
            times.append(self.relays[next(iter(self._pending))].deadline)
        times.extend(self._lost.values())
        pool = self.pool.next_timer()
        return min(times if pool is None else [*times, pool], default=None)

    def settle_due(self, now: float) -> bool:
        """Whether it is time to call `settle`."""
        return self._settle_at is not None and self._settle_at <= now

    def _late(self) -> str:
        if not self.settled:
            return "the control plane has just started and waits for its proxies; is Envoy running and connected?"
        return f"the media proxy did not acknowledge within {OPEN_TIMEOUT:.0f} s; is Envoy running and connected?"

    def _allocate(self, relay_id: str, now: float) -> None:
        relay = self.relays[relay_id]
        slot = self.pool.take(now)
        if slot is None:
            self._release(relay, REST_AFTER_STOP, now)
            self._fail(relay, FailureReason.NO_FREE_SLOT, self._full())
            return
        self._occupy(replace(relay, slot=slot, state=RelayState.OPENING), slot, now)
        self.messages.append((relay.owner, Allocated(relay_id=relay_id, slot=slot)))

    def _grant(self, owner: str, now: float) -> None:
        """Bring the grants of a connected proxy up to their number when they run low, as long as there is plenty."""
        grants = self._grants.get(owner)
        if not self.settled or grants is None or len(grants) > REFILL_GRANTS_AT:
            return
        added: list[int] = []
        while len(grants) + len(added) < GRANTED_SLOTS and self.pool.count(SlotState.FREE) > UNGRANTED_SLOTS:
            slot = self.pool.take(now, SlotState.GRANTED)
            if slot is None:
                break
            added.append(slot)
        if added:
            grants.update(added)
            self.messages.append((owner, Granted(slots=tuple(added))))

    def _use_grant(self, relay: Relay, slot: int, now: float) -> None:
        self._grants[relay.owner].discard(slot)
        self.pool.open(slot)
        self._occupy(relay, slot, now)
        if slot in self.refusals:
            self._fail_rejected(relay, slot, self.refusals[slot], now)

    def _return_grant(self, relay: Relay) -> None:
        if relay.slot is not None:
            self._grants[relay.owner].discard(relay.slot)
            self.pool.give_back(relay.slot)

    def _fail_rejected(self, relay: Relay, slot: int, message: str, now: float) -> None:
        self._release(relay, REST_AFTER_STOP, now)
        reason = f"the media proxy refused slot {slot}: {message}"
        self._fail(relay, FailureReason.MEDIA_PROXY_UNAVAILABLE, reason)

    def _end_grants(self, owner: str) -> None:
        for slot in self._grants.pop(owner, ()):
            self.pool.give_back(slot)

    def _full(self) -> str:
        pool = self.pool
        return (
            f"no free media slot: {pool.count(SlotState.OPEN)} open, {pool.count(SlotState.RESTING)} resting and"
            f" {pool.count(SlotState.REFUSED)} refused by the media proxy, of {pool.capacity}; widen --media-ports"
        )

    def _restate(self, relay: Relay, slot: int, now: float) -> None:
        known = self.relays.get(relay.relay_id)
        if known is not None and known.owner != relay.owner:
            self._fail(relay, FailureReason.REFUSED, "this relay is another RTSP proxy's")
            return
        if known is not None and known.slot == slot and known.ends == relay.ends:
            self._repeat(known)
            return
        if known is not None:
            self._release(known, REST_AFTER_LOSS, now)
        if not self.pool.claim(slot):
            self._fail(relay, FailureReason.REFUSED, f"slot {slot} is not there or belongs to another relay")
            return
        # No deadline: a relay that already carries media is not given up because the media proxy is late.
        stated = replace(relay, slot=slot, state=RelayState.OPENING)
        self._occupy(stated, slot, now)
        if self.relays[relay.relay_id].state is RelayState.OPENING and self._acknowledged(slot):
            self._ready(stated)

    def _occupy(self, relay: Relay, slot: int, now: float) -> None:
        # What is stated until it has settled is from before a restart, and so are Envoy's listeners.
        self._senders.set(slot, relay.sender, now, known=not self.settled)
        if relay.receiver is None and not self.occupied(slot):
            # The slot led nowhere before: there is nothing that the media proxy would have to acknowledge.
            self._pending.pop(relay.relay_id, None)
            relay = replace(relay, state=RelayState.READY)
        self.relays[relay.relay_id] = relay
        self._by_slot[slot] = relay.relay_id
        self.changed_slots.add(slot)

    def _repeat(self, relay: Relay) -> None:
        if relay.slot is not None:
            self.messages.append((relay.owner, Allocated(relay_id=relay.relay_id, slot=relay.slot)))
        if relay.state is RelayState.READY and relay.receiver is not None:
            self.messages.append((relay.owner, Ready(relay_id=relay.relay_id)))

    def _ready(self, relay: Relay) -> None:
        self._pending.pop(relay.relay_id, None)
        self.relays[relay.relay_id] = replace(relay, state=RelayState.READY)
        self.messages.append((relay.owner, Ready(relay_id=relay.relay_id)))

    def _release(self, relay: Relay, rest: float, now: float) -> None:
        self._pending.pop(relay.relay_id, None)
        self.relays.pop(relay.relay_id, None)
        if relay.slot is not None:
            del self._by_slot[relay.slot]
            self.changed_slots.add(relay.slot)
            self.pool.rest(relay.slot, until=now + rest)

    def _fail(self, relay: Relay, reason: FailureReason, message: str) -> None:
        self.messages.append((relay.owner, Failed(relay_id=relay.relay_id, reason=reason, message=message)))
