"""What passes through each slot, from what the media proxy counts.

UDP passes Envoy alone, so nobody else sees it. Envoy tells its counters again and again, as totals since it began; what
they grew by has passed since it told them last. A counter that is smaller than before has begun anew.

Pure: reports and time come in as arguments.

Envoy API: statistics of udp_proxy (`udp.*`, `cluster.*.udp.*`) and of clusters (`upstream_cx_tx_bytes_total`).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from xds_server.compile.slots import Flow, flow_name

Counters = Iterable[tuple[str, float]]
"""Envoy's counters that are not 0, by name, since it began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What passed: packets of media from the sender, packets and bytes of media to the receiver, and packets of RTCP
    from the receiver."""

    received: int = 0
    sent: int = 0
    sent_bytes: int = 0
    heard: int = 0

    def since(self, before: Traffic) -> Traffic:
        """What passed after `before` did."""
        return Traffic(
            received=self.received - before.received,
            sent=self.sent - before.sent,
            sent_bytes=self.sent_bytes - before.sent_bytes,
            heard=self.heard - before.heard,
        )


class _Meter(IntEnum):
    """What is counted of a slot, in the order of Traffic's fields."""

    RECEIVED = 0
    SENT = 1
    SENT_BYTES = 2
    HEARD = 3


@dataclass(slots=True)
class _Counter:
    """One of Envoy's counters. `told`: its latest value; None: not told by this media proxy yet."""

    meter: _Meter
    slot: int
    told: float | None = None


class SlotActivity:
    """All slots there may be, by number. Times are monotonic seconds."""

    def __init__(self, slots: int) -> None:
        self._counters = {name: _Counter(meter, slot) for slot in range(slots) for name, meter in _names(slot)}
        self._passed = [[0] * len(_Meter) for _ in range(slots)]
        self._total = [0] * len(_Meter)
        self._media_at: dict[int, float] = {}
        self._heard_at: dict[int, float] = {}
        self._first = True

    def renewed(self) -> None:
        """The media proxy begins to report, perhaps another one: its first values are where counting begins."""
        self._first = True
        for counter in self._counters.values():
            counter.told = None

    def take(self, counters: Counters, now: float) -> set[int]:
        """A report; what are no slots' counters is passed over. Gives the slots whose receiver was heard since the
        report before."""
        heard: set[int] = set()
        for name, value in counters:
            counter = self._counters.get(name)
            if counter is None or counter.told == value:
                continue
            grown = self._growth(counter, value)
            counter.told = value
            if grown:
                self._passed[counter.slot][counter.meter] += grown
                self._total[counter.meter] += grown
                if counter.meter is _Meter.RECEIVED:
                    self._media_at[counter.slot] = now
                elif counter.meter is _Meter.HEARD:
                    self._heard_at[counter.slot] = now
                    heard.add(counter.slot)
        self._first = False
        return heard

    def _growth(self, counter: _Counter, value: float) -> int:
        if counter.told is None:  # a counter is told from its first count on
            return 0 if self._first else int(value)
        return int(value - counter.told if value > counter.told else value)

    @property
    def names(self) -> Container[str]:
        """Envoy's names of all counters that are read."""
        return self._counters.keys()

    @property
    def total(self) -> Traffic:
        """What passed through all slots since the first report."""
        return _traffic(self._total)

    def traffic(self, slot: int) -> Traffic:
        """What passed through a slot since the first report."""
        return _traffic(self._passed[slot])

    def media_at(self, slot: int) -> float | None:
        """When media from the slot's sender was told of last."""
        return self._media_at.get(slot)

    def heard_at(self, slot: int) -> float | None:
        """When RTCP from the slot's receiver was told of last."""
        return self._heard_at.get(slot)


def _traffic(passed: list[int]) -> Traffic:
    received, sent, sent_bytes, heard = passed
    return Traffic(received=received, sent=sent, sent_bytes=sent_bytes, heard=heard)


def _names(slot: int) -> Iterator[tuple[str, _Meter]]:
    """Envoy's names of a slot's counters: "downstream" is where the sender is, "cluster" where the receiver is."""
    media, control = flow_name(slot, Flow.RTP), flow_name(slot, Flow.RTCP)
    yield f"udp.{media}.downstream_sess_rx_datagrams", _Meter.RECEIVED
    yield f"cluster.{media}.udp.sess_tx_datagrams", _Meter.SENT
    yield f"cluster.{media}.upstream_cx_tx_bytes_total", _Meter.SENT_BYTES
    yield f"cluster.{control}.udp.sess_rx_datagrams", _Meter.HEARD
