"""The media plane: keeps what the media proxy should have in step with the relays, and the relays with what it has.

Pure: the registry says which receiver each slot has, this module says it in resources, and acknowledgements find
their way back to the relays that wait for them. Opening a relay changes two resources, whatever the size of the pool.

All clusters that there can ever be are there from the start, and the pool warms and cools listeners only: Envoy tells
every listener's filter of every cluster that comes or goes, on the threads that carry media. Growing by clusters held
media up for as much as a second; growing by listeners does not show.

A slot that shall take packets of another sender than before has other listeners. It leads nowhere until Envoy has them,
so nobody whom the old ones take can slip in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from xds_server.cache import ResourceCache
from xds_server.compile.slots import (
    Flow,
    FlowSource,
    FlowTarget,
    slot_assignment,
    slot_cluster,
    slot_listener,
    slot_names,
    slot_of,
)
from xds_server.envoy.bootstrap import MediaProxy
from xds_server.envoy.files import slots_within
from xds_server.relays.registry import RelayRegistry
from xds_server.relays.relay import Receiver, RelayMessage
from xds_server.relays.senders import Sender
from xds_server.relays.slots import SlotLayout, SlotPool, SlotPorts
from xds_server.resource_types import CLUSTER, ENDPOINT, LISTENER
from xds_server.resources import Resource

# A media proxy that connects states the versions of all that it has within this many seconds.
_STATEMENT_TIME = 1.0
# Slots whose listeners are pushed at once while media may flow: Envoy takes a millisecond for each, and whatever else
# is pushed waits behind them.
WARMED_AT_ONCE = 8

# A listener or a cluster, of a slot's flow, its ports and the media proxy's addresses.
_Make = Callable[[int, Flow, SlotPorts, Sequence[str]], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSettings:
    """The ports and addresses of media. `addresses`: at most one IPv4 and one IPv6, wildcards allowed. `multicast_ttl`:
    the time to live of datagrams to a multicast group; 1 keeps them on their network."""

    layout: SlotLayout
    addresses: tuple[str, ...]
    multicast_ttl: int = 1


class MediaPlane:
    """Resources and acknowledgements of the one media proxy. Times are monotonic seconds."""

    def __init__(self, settings: MediaSettings, *, now: float, settle_time: float, sources_known: bool = True) -> None:
        self.settings = settings
        self._sources_known = sources_known
        self.registry = RelayRegistry(
            SlotPool(settings.layout.capacity, now=now), self.acknowledged, now=now, settle_time=settle_time
        )
        # What a proxy of an earlier life of ours still carries stays as it is until we know better.
        self.cache = ResourceCache(held=not (self.registry.settled and sources_known))
        self.connected = False
        self._acked: dict[tuple[str, str], str | None] = {}
        self._proxy_had_state = False
        self._pushed_slots = 0
        self._senders: dict[int, Sender] = {}  # as the listeners in the cache have it
        self._withheld: set[int] = set()  # slots whose listeners Envoy has yet to take before they lead anywhere
        self.cache.update(upsert=self._clusters())
        self.flush_resources()

    def proxy_connected(self, proxy: MediaProxy | None, *, had_state: bool, now: float) -> None:
        """The media proxy opened a stream; what an earlier stream acknowledged is void."""
        self.connected = True
        self.registry.postpone_settling(now + _STATEMENT_TIME)
        self._proxy_had_state = had_state
        self._acked.clear()
        self.registry.media_proxy_renewed()
        if proxy is not None:
            self.registry.pool.limit(min(self.settings.layout.capacity, self._slots_within(proxy)))

    def proxy_disconnected(self) -> None:
        """The media proxy is gone; nothing counts as acknowledged until it is back."""
        self.connected = False
        self._acked.clear()

    def resources_acknowledged(self, type_url: str, versions: Mapping[str, str | None], now: float) -> None:
        """The media proxy has these versions now (None: removed). Names that are not slots' are others' business."""
        ours = {name: slot for name in versions if (slot := slot_of(name)) is not None}
        for name in ours:
            self._acked[type_url, name] = versions[name]
        slots = set(ours.values())
        if type_url == LISTENER.type_url:
            listening = [slot for slot in slots if self._listens(slot)]
            self.registry.slots_listen(listening, now)
            self.registry.changed_slots |= self._withheld.intersection(listening)
        if type_url != CLUSTER.type_url:
            self.registry.slots_acknowledged(slots)

    def resources_rejected(self, type_url: str, names: Sequence[str], message: str, now: float) -> None:
        """The media proxy refused resources: relays that wait for them fail with its own words."""
        for slot in {slot for name in names if (slot := slot_of(name)) is not None}:
            if type_url == ENDPOINT.type_url:
                self.registry.receiver_rejected(slot, message, now)
            else:
                self.registry.slot_rejected(slot, message, now)

    def acknowledged(self, slot: int) -> bool:
        """Whether the media proxy has just what the cache says of `slot`."""
        return slot not in self._withheld and all(
            self._has(type_url, name)
            for name in slot_names(slot)
            for type_url in (LISTENER.type_url, ENDPOINT.type_url)
        )

    @property
    def listening(self) -> bool:
        """Whether the media proxy has slots, whichever: it gets them last of all, after what they point at."""
        return self.registry.pool.listening > 0

    def tick(self, now: float) -> None:
        """Do what is due at `now`."""
        if self.registry.settle_due(now) and not self.connected:
            # Without the media proxy's word a slot in use cannot be told from a free one.
            self.registry.postpone_settling(now + _STATEMENT_TIME)
        if self.registry.settle_due(now):
            self.registry.settle(self._unclean_slots(), now)
            self.flush_resources()
            self._release_if_known()
        self.registry.tick(now)

    def sources_heard(self) -> None:
        """The gateways in the cache are all that there are."""
        self._sources_known = True
        self._release_if_known()

    def _release_if_known(self) -> None:
        if self.registry.settled and self._sources_known:
            self.cache.release()

    def flush(self) -> list[tuple[str, RelayMessage]]:
        """Bring the cache up to date; gives the messages to send, each with the proxy it is for."""
        self.flush_resources()
        messages = self.registry.messages
        self.registry.messages = []
        return messages

    def flush_resources(self) -> None:
        """Bring the cache up to date: slots that were warmed, cooled, or changed their receiver or sender."""
        registry = self.registry
        size = registry.pool.size
        added = range(self._pushed_slots, min(size, self._pushed_slots + self._slots_to_warm(size)))
        removed = range(size, self._pushed_slots)
        self._pushed_slots = size if removed else max(self._pushed_slots, added.stop)
        changed, registry.changed_slots = registry.changed_slots, set()
        taken = {slot for slot in self._withheld & changed if self._listens(slot)}
        self._withheld -= taken
        turned = [slot for slot in changed if slot not in added and slot not in removed and self._has_turned(slot)]
        self._note_senders([*added, *turned], removed)
        if changed or added or removed:
            self.cache.update(
                upsert=[*self._assignments(changed), *self._listeners(added), *self._listeners(turned)],
                remove=[(LISTENER.type_url, name) for slot in removed for name in slot_names(slot)],
            )
        registry.slots_acknowledged(taken)  # those that lead nowhere still have nothing more to wait for

    def _has_turned(self, slot: int) -> bool:
        """Whether a slot that is warm shall take packets of another sender."""
        return slot < self._pushed_slots and self._senders.get(slot) != self.registry.sender(slot)

    def _note_senders(self, renewed: Iterable[int], removed: Iterable[int]) -> None:
        """These slots get new listeners, and those have none any more."""
        for slot in removed:
            self._senders.pop(slot, None)
            self._withheld.discard(slot)
        for slot in renewed:
            sender = self.registry.sender(slot)
            if sender is None:
                self._senders.pop(slot, None)
                self._withheld.discard(slot)
            else:
                self._senders[slot] = sender
                self._withheld.add(slot)

    def _slots_to_warm(self, size: int) -> int:
        """How many more slots may be pushed: any number before media can flow, then a few at a time."""
        if not self._pushed_slots or not self.registry.settled:
            return size
        last = self._pushed_slots - 1
        return WARMED_AT_ONCE if self._listens(last) or last in self.registry.refusals else 0

    def _listens(self, slot: int) -> bool:
        return all(self._has(LISTENER.type_url, name) for name in slot_names(slot))

    def _clusters(self) -> Iterable[Resource]:
        """The clusters of all slots, warm or not, with their empty assignments."""
        slots = range(self.settings.layout.capacity)
        yield from self._frames(partial(slot_cluster, multicast_ttl=self.settings.multicast_ttl), slots)
        yield from self._assignments(slots)

    def _listeners(self, slots: Iterable[int]) -> Iterable[Resource]:
        for slot in slots:
            ports, sender = self.settings.layout.ports(slot), self.registry.sender(slot)
            for flow in Flow:
                yield Resource.of(slot_listener(slot, flow, ports, self.settings.addresses, _source(sender, flow)))

    def _frames(
        self, make: Callable[[int, Flow, SlotPorts, Sequence[str]], Any], slots: Iterable[int]
    ) -> Iterable[Resource]:
        """What never changes of these slots: for each of their flows, what `make` makes of its ports."""
        for slot in slots:
            ports = self.settings.layout.ports(slot)
            for flow in Flow:
                yield Resource.of(make(slot, flow, ports, self.settings.addresses))

    def _assignments(self, slots: Iterable[int]) -> Iterable[Resource]:
        for slot in slots:
            receiver = None if slot in self._withheld else self.registry.receiver(slot)
            for flow in Flow:
                yield Resource.of(slot_assignment(slot, flow, _target(receiver, flow)))

    def _has(self, type_url: str, name: str) -> bool:
        resource = self.cache.get(type_url, name)
        return resource is not None and self._acked.get((type_url, name)) == resource.version

    def _unclean_slots(self) -> list[int]:
        """Slots without a relay that the media proxy, which outlived us, may still send to somebody."""
        if not (self.connected and self._proxy_had_state):
            return []
        slots = range(self.settings.layout.capacity)
        empty = [slot for slot in slots if not self.registry.occupied(slot)]
        return [slot for slot in empty if not all(self._has(ENDPOINT.type_url, name) for name in slot_names(slot))]

    def _slots_within(self, proxy: MediaProxy) -> int:
        """How many slots the proxy's files allow."""
        return slots_within(proxy.files, workers=proxy.workers, addresses=len(self.settings.addresses))


def _source(sender: Sender | None, flow: Flow) -> FlowSource | None:
    if sender is None:
        return None
    return FlowSource(address=sender.address, port=sender.rtp_port if flow is Flow.RTP else sender.rtcp_port)


def _target(receiver: Receiver | None, flow: Flow) -> FlowTarget | None:
    if receiver is None:
        return None
    port = receiver.rtp_port if flow is Flow.RTP else receiver.rtcp_port
    return FlowTarget(address=receiver.address, port=port)
