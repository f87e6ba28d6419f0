"""One media proxy and all that is there: what it should have, relays and their sessions, what it reports, its stream.

Pure: time comes in as an argument, and what RTSP proxies are told of it goes out by `tell`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mesh.wire import relay_pb2
from xds_server.envoy.bootstrap import media_proxy_of
from xds_server.media import MediaPlane, MediaSettings
from xds_server.media_reports import MediaReports
from xds_server.relays.sessions import NOBODY, SessionRegistry
from xds_server.relays.wire import control_message, session_message
from xds_server.subscription import ConnectedProxy, Node

Tell = Callable[[str, relay_pb2.ControlMessage], None]
"""Sends a message to the RTSP proxy of a node id, if it is connected."""


class MediaNode:
    """`media` has its resources and relays, `handover` the sessions there, `reports` what passes through its slots.

    `stream` is its xDS stream; None: it is not connected. Times are monotonic seconds.
    """

    def __init__(
        self, settings: MediaSettings, *, now: float, settle_time: float, sources_known: bool, tell: Tell
    ) -> None:
        self.media = MediaPlane(settings, now=now, settle_time=settle_time, sources_known=sources_known)
        self.handover = SessionRegistry(self.media.registry)
        self.reports = MediaReports(self.media.registry, media_proxy=self._node, plays=self._plays, tell=tell)
        self.stream: ConnectedProxy | None = None
        self._tell = tell

    def refusal(self, node: Node) -> str | None:
        """Why a proxy of our node id is not served: another one is connected, and two would take each other's relays.
        None when it is."""
        older = self.stream
        if older is None:
            return None
        known, new = media_proxy_of(older.node.metadata), media_proxy_of(node.metadata)
        if known is not None and new is not None and known.instance == new.instance:
            return None  # the same supervisor's: the Envoy before it is dead, or will be found to be
        return (
            f"another media proxy is connected as {node.id!r}, from {older.peer}, and one control plane has one: end"
            " that one, or give this one a control plane of its own"
        )

    def connected(self, proxy: ConnectedProxy, now: float) -> None:
        """The media proxy opened a stream."""
        self.stream = proxy
        self.media.proxy_connected(media_proxy_of(proxy.node.metadata), had_state=proxy.had_state, now=now)
        self.flush()

    def disconnected(self) -> None:
        """That stream ended."""
        self.stream = None
        self.media.proxy_disconnected()
        self.flush()

    def acknowledged(self, type_url: str, versions: Mapping[str, str | None], now: float) -> None:
        """The media proxy has these versions now."""
        self.media.resources_acknowledged(type_url, versions, now)
        self.flush()

    def rejected(self, type_url: str, names: Sequence[str], message: str, now: float) -> None:
        """The media proxy refused resources."""
        self.media.resources_rejected(type_url, names, message, now)
        self.flush()

    def release(self, session_id: str, now: float) -> bool:
        """End a session that waits for a proxy to go on with it; False when it is not one of those."""
        if self.handover.owners.get(session_id) != NOBODY:
            return False
        self.handover.release(session_id, now)
        self.flush()
        return True

    def tick(self, now: float) -> None:
        """Do what is due."""
        self.handover.tick(now)
        self.media.tick(now)
        self.flush()

    def next_timer(self) -> float | None:
        """When `tick` is due."""
        timers = (self.media.registry.next_timer(), self.handover.next_timer())
        return min((due for due in timers if due is not None), default=None)

    def flush(self) -> None:
        """Bring the resources up to date with the relays, and tell RTSP proxies what has changed for them."""
        settings = self.media.settings
        for owner, message in self.media.flush():
            self._tell(owner, control_message(message, settings.layout, settings.addresses))
        for owner, change in self.handover.take_messages():
            self._tell(owner, session_message(change, settings.layout, settings.addresses))
        for owner in self.media.registry.take_departed():
            self.handover.proxy_departed(owner)

    def _node(self) -> Node | None:
        """The media proxy that is connected."""
        return None if self.stream is None else self.stream.node

    def _plays(self, session_id: str) -> bool:
        """Whether media of a session should flow."""
        session = self.handover.sessions.get(session_id)
        return session is not None and session.state in (relay_pb2.PLAYING, relay_pb2.RECORDING)
