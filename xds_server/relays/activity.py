"""Which relays carry media: flowing, or silent although they should play.

Told is what changes, so a mesh whose media flows says nothing: `report` gives relays that have fallen silent or flow
(again), and those whose receivers were heard, which is a session's sign of life where nothing else is left of it.

Nothing follows from what was not reported: silence is counted in time that reports cover.

Pure: reports and time come in as arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from xds_server.envoy.bootstrap import REPORT_INTERVAL
from xds_server.relays.slot_activity import Counters, SlotActivity, Traffic

# Seconds without a packet of media, although it should play, after which a relay is silent: longer than the pauses of a
# camera that works (it sends some frames a second), and well before players give up, at ten.
SILENT_AFTER = 3.0
# Seconds after which silence that lasts is told again: whoever has looked for another sender meanwhile learns that this
# one is silent too.
TELL_AGAIN = 10.0
# After so many seconds without a report nobody was looking.
_LONGEST_GAP = 3 * REPORT_INTERVAL


class Activity(Enum):
    """What the media of a relay does."""

    IDLE = "idle"  # it need not flow: its session does not play
    UNKNOWN = "unknown"  # nothing is reported, or not for long enough
    FLOWING = "flowing"
    SILENT = "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedRelay:
    """A relay that has a slot. `plays`: media should flow through it now."""

    relay_id: str
    slot: int
    plays: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayActivity:
    """What is known of a relay. `traffic` passed since it was opened; ages are in seconds, None: never yet."""

    activity: Activity
    traffic: Traffic
    media_age: float | None
    heard_age: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityChanges:
    """What a report has changed, by relay id. `silent`: since how many seconds, told once in TELL_AGAIN; `flowing`:
    media has begun, or begun again; `heard`: RTCP came from the receiver since the report before."""

    silent: Mapping[str, float]
    flowing: Collection[str]
    heard: Collection[str]


@dataclass(slots=True)
class _Watch:
    """A relay from its first report on. `before`: what had passed through its slot before it. `plays_since`: None while
    it does not. `told`: that it flows or that it is silent, whichever its proxy was told last."""

    slot: int
    before: Traffic
    begun: float
    plays_since: float | None = None
    told: Activity | None = None
    told_at: float = 0.0


class ActivityBook:
    """The activity of all relays. Times are monotonic seconds."""

    def __init__(self, slots: int) -> None:
        self._slots = SlotActivity(slots)
        self._watches: dict[str, _Watch] = {}
        self._reported_at: float | None = None
        self._looking_since = 0.0

    @property
    def counters(self) -> Container[str]:
        """Names of the counters that reports are read for."""
        return self._slots.names

    @property
    def total(self) -> Traffic:
        """What passed through all relays, those that are closed too."""
        return self._slots.total

    def renewed(self) -> None:
        """The media proxy begins to report, perhaps another one."""
        self._slots.renewed()
        self._reported_at = None

    def report(self, counters: Counters, relays: Iterable[WatchedRelay], now: float) -> ActivityChanges:
        """The media proxy has told its counters; `relays` are all that there are now."""
        if not self._reports_come(now):
            self._looking_since = now
        self._reported_at = now
        self._watch(relays, now)  # with what had passed before this report
        heard = self._slots.take(counters, now)
        silent: dict[str, float] = {}
        flowing: list[str] = []
        for relay_id, watch in self._watches.items():
            activity = self._activity(watch, now)
            if activity is Activity.IDLE:
                watch.told = None
            elif activity is Activity.FLOWING and watch.told is not activity:
                watch.told = activity
                flowing.append(relay_id)
            elif activity is Activity.SILENT and (watch.told is not activity or now - watch.told_at >= TELL_AGAIN):
                watch.told, watch.told_at = activity, now
                silent[relay_id] = self._silence(watch, now)
        alive = [relay_id for relay_id, watch in self._watches.items() if watch.slot in heard]
        return ActivityChanges(silent=silent, flowing=flowing, heard=alive)

    def tell_again(self, relay_ids: Iterable[str]) -> None:
        """Whoever was told of these relays may have missed it."""
        for relay_id in relay_ids:
            if relay_id in self._watches:
                self._watches[relay_id].told = None

    def relay(self, relay_id: str, now: float) -> RelayActivity | None:
        """What is known of a relay; None: there was no report of it yet."""
        watch = self._watches.get(relay_id)
        if watch is None:
            return None
        return RelayActivity(
            activity=self._activity(watch, now) if self._reports_come(now) else Activity.UNKNOWN,
            traffic=self._slots.traffic(watch.slot).since(watch.before),
            media_age=_age(self._slots.media_at(watch.slot), watch.begun, now),
            heard_age=_age(self._slots.heard_at(watch.slot), watch.begun, now),
        )

    def counts(self, now: float) -> Mapping[Activity, int]:
        """How many relays there are of each activity."""
        counts = dict.fromkeys(Activity, 0)
        for relay_id in self._watches:
            relay = self.relay(relay_id, now)
            if relay is not None:
                counts[relay.activity] += 1
        return counts

    def _reports_come(self, now: float) -> bool:
        return self._reported_at is not None and now - self._reported_at <= _LONGEST_GAP

    def _watch(self, relays: Iterable[WatchedRelay], now: float) -> None:
        """Take note of what relays there are, and which of them play."""
        before, self._watches = self._watches, {}
        for relay in relays:
            watch = before.get(relay.relay_id)
            if watch is None or watch.slot != relay.slot:
                watch = _Watch(slot=relay.slot, before=self._slots.traffic(relay.slot), begun=now)
            if not relay.plays:
                watch.plays_since = None
            elif watch.plays_since is None:
                watch.plays_since = now
            self._watches[relay.relay_id] = watch

    def _activity(self, watch: _Watch, now: float) -> Activity:
        if watch.plays_since is None:
            return Activity.IDLE
        media_at = self._slots.media_at(watch.slot)
        if media_at is not None and media_at >= watch.plays_since and now - media_at < SILENT_AFTER:
            return Activity.FLOWING
        return Activity.SILENT if self._silence(watch, now) >= SILENT_AFTER else Activity.UNKNOWN

    def _silence(self, watch: _Watch, now: float) -> float:
        """For how many seconds no media came of a relay that plays, as far as somebody looked."""
        media_at = self._slots.media_at(watch.slot) or 0.0
        return now - max(media_at, watch.plays_since or 0.0, self._looking_since)


def _age(at: float | None, begun: float, now: float) -> float | None:
    return None if at is None or at < begun else now - at
