"""What the media proxy reports of its slots, told to those whose relays they are.

Pure: joins the reports with the relays of the registry and what their sessions do; messages go out by `tell`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mesh.wire import relay_pb2
from xds_server.envoy.bootstrap import media_proxy_of
from xds_server.relays.activity import ActivityBook, ActivityChanges, WatchedRelay
from xds_server.relays.registry import RelayRegistry
from xds_server.relays.relay import RelayState
from xds_server.relays.slot_activity import Counters
from xds_server.subscription import Node


class MediaReports:
    """Reads the reports (`ReportReader`).

    media_proxy: the node of the media proxy that is connected. plays: whether a session's media should flow.
    tell: sends a message to an RTSP proxy, by its node id.
    """

    def __init__(
        self,
        registry: RelayRegistry,
        *,
        media_proxy: Callable[[], Node | None],
        plays: Callable[[str], bool],
        tell: Callable[[str, relay_pb2.ControlMessage], None],
    ) -> None:
        self.activity = ActivityBook(registry.pool.capacity)
        self.counters = self.activity.counters
        self._registry = registry
        self._media_proxy = media_proxy
        self._plays = plays
        self._tell = tell

    def refusal(self, node_id: str, metadata: Mapping[str, Any]) -> str | None:
        """Only the media proxy that has the relays is believed."""
        proxy = self._media_proxy()
        if proxy is None or proxy.id != node_id or media_proxy_of(proxy.metadata) != media_proxy_of(metadata):
            return f"{node_id!r} is not the media proxy that is connected"
        return None

    def begun(self) -> None:
        """The media proxy, perhaps a new one, reports."""
        self.activity.renewed()

    def reported(self, counters: Counters, now: float) -> None:
        """Tell owners what has changed."""
        changes = self.activity.report(counters, self._watched(), now)
        for owner, message in self._messages(changes).items():
            self._tell(owner, relay_pb2.ControlMessage(relay_activity=message))

    def tell_again(self, owner: str) -> None:
        """An RTSP proxy may have missed what it was told of its relays."""
        self.activity.tell_again(relay.relay_id for relay in self._registry.relays.values() if relay.owner == owner)

    def _watched(self) -> Iterator[WatchedRelay]:
        for relay in self._registry.relays.values():
            if relay.slot is not None:
                plays = relay.state is RelayState.READY and self._plays(relay.session_id)
                yield WatchedRelay(relay_id=relay.relay_id, slot=relay.slot, plays=plays)

    def _messages(self, changes: ActivityChanges) -> Mapping[str, relay_pb2.RelayActivity]:
        """What each owner is told."""
        messages: dict[str, relay_pb2.RelayActivity] = {}

        def message_for(relay_id: str) -> relay_pb2.RelayActivity:
            return messages.setdefault(self._registry.relays[relay_id].owner, relay_pb2.RelayActivity())

        for relay_id, seconds in changes.silent.items():
            message_for(relay_id).silent.add(relay_id=relay_id, seconds=seconds)
        for relay_id in changes.flowing:
            message_for(relay_id).flowing.append(relay_id)
        for relay_id in changes.heard:
            message_for(relay_id).receiver_alive.append(relay_id)
        return messages
