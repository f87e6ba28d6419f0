"""The relay streams of all RTSP proxies: what they say goes to the relays and sessions that it is about, and back.

One stream a proxy; an older one of the same process ends when it comes again, another process of its name is refused.
"""

from __future__ import annotations

import time
from typing import Protocol

import structlog

from mesh.wire import relay_pb2
from xds_server.media_node import MediaNode
from xds_server.relays.relay import FailureReason
from xds_server.relays.service import RelayStream
from xds_server.relays.tunnels import TunnelRegistry, places_of
from xds_server.relays.wire import failed, relay_of, tunnel_message

log = structlog.get_logger()


class RelayObserver(Protocol):
    """Who hears what follows from the streams; the control plane is one."""

    def relays_changed(self) -> None:
        """Relays, sessions, or who has them: something may be due earlier."""

    def proxies_changed(self) -> None:
        """An RTSP proxy has gone, or is about to."""

    def endpoints_forgotten(self, proxy: str) -> None:
        """What an RTSP proxy has measured is void: it states it again, or is gone."""

    def endpoints_reported(self, proxy: str, report: relay_pb2.EndpointReport) -> None:
        """An RTSP proxy says what it measures of endpoints."""

    def complain(self, reason: str, proxy: str) -> None:
        """An RTSP proxy does not get what it wants, again and again."""


class RelayPlane:
    """`streams` by the node ids of RTSP proxies (RelayOwner)."""

    def __init__(self, observer: RelayObserver) -> None:
        self.streams: dict[str, RelayStream] = {}
        self.tunnels = TunnelRegistry()
        self.node: MediaNode
        self._observer = observer
        self._stopping = False

    def send(self, owner: str, message: relay_pb2.ControlMessage) -> None:
        """Tell an RTSP proxy something, if it is connected."""
        stream = self.streams.get(owner)
        if stream is not None:
            stream.send(message)

    def stop(self) -> None:
        """End all streams. That they end says nothing of their proxies any more."""
        self._stopping = True
        for stream in list(self.streams.values()):
            stream.end()

    # RelayOwner

    def refusal(self, stream: RelayStream) -> str | None:
        """Why a stream cannot be opened while another proxy has its node id; None when it can."""
        older = self.streams.get(stream.node_id)
        if older is None or older.instance == stream.instance:
            return None
        reason = (
            f"another RTSP proxy is connected as {stream.node_id!r}, from {older.peer}: give each its own name with"
            " --rtsp-node"
        )
        self._observer.complain(reason, stream.node_id)
        return reason

    def stream_opened(self, stream: RelayStream, state: relay_pb2.State) -> None:
        """A proxy has stated all that it holds; an older stream of the same process is over."""
        older = self.streams.get(stream.node_id)
        if older is not None:
            older.end()
        self.streams[stream.node_id] = stream
        log.info("RTSP proxy connected", proxy=stream.node_id, relays=len(state.relays), sessions=len(state.sessions))
        self._observer.endpoints_forgotten(stream.node_id)
        self.tunnels.proxy_connected(stream.node_id, places_of(state, stream.peer))
        self._take_state(stream, state)
        self._changed()

    def stream_message(self, stream: RelayStream, message: relay_pb2.ProxyMessage) -> None:
        """A proxy opens or closes a relay, or tells of a session."""
        if self.streams.get(stream.node_id) is not stream:
            return
        match message.WhichOneof("message"):
            case "open_relay":
                self._open_relay(stream, message.open_relay)
                self._changed()
            case "close_relays":
                self._close_relays(stream, message.close_relays)
                self._changed()
            case "endpoint_report":
                self._observer.endpoints_reported(stream.node_id, message.endpoint_report)
            case "tunnel_report":
                self._tunnels_reported(stream, message.tunnel_report)
            case _ if self._session_message(stream, message):
                if self.node.handover.messages or message.HasField("session_left"):  # most only tell of a session
                    self._changed()
            case other:
                log.warning("an RTSP proxy sent a message that is not understood", proxy=stream.node_id, message=other)

    def stream_closed(self, stream: RelayStream) -> None:
        """A proxy's stream has ended; its relays wait for it."""
        if self._stopping or self.streams.get(stream.node_id) is not stream:
            return
        del self.streams[stream.node_id]
        self._observer.endpoints_forgotten(stream.node_id)
        self.tunnels.proxy_lost(stream.node_id)
        now, registry = time.monotonic(), self.node.media.registry
        if any(relay.owner == stream.node_id for relay in registry.relays.values()):
            log.warning("RTSP proxy disconnected; its relays stay for now", proxy=stream.node_id)
        else:
            log.info("RTSP proxy disconnected", proxy=stream.node_id)
        registry.proxy_lost(stream.node_id, now)
        self.node.handover.proxy_lost(stream.node_id, now)
        self._changed()
        self._observer.proxies_changed()

    def _changed(self) -> None:
        self.node.flush()
        self._observer.relays_changed()

    def _take_state(self, stream: RelayStream, state: relay_pb2.State) -> None:
        """Relays and sessions are as the proxy states them, but for those that others go on with meanwhile."""
        node, now = self.node, time.monotonic()
        others = node.handover.state(state, now)
        held = {}
        for claim in state.relays:
            if claim.relay.session_id in others:
                continue
            try:
                held[claim.relay.relay_id] = (relay_of(claim.relay, stream.node_id), claim.slot)
            except ValueError as error:
                stream.send(failed(claim.relay.relay_id, FailureReason.REFUSED, str(error)))
        node.media.registry.state(stream.node_id, held, now)
        node.handover.proxy_connected(stream.node_id)
        node.reports.tell_again(stream.node_id)

    def _session_message(self, stream: RelayStream, message: relay_pb2.ProxyMessage) -> bool:
        """A proxy tells of a session, or asks for one; False where the message is about something else."""
        owner, handover, now = stream.node_id, self.node.handover, time.monotonic()
        match message.WhichOneof("message"):
            case "session":
                handover.keep(owner, message.session)
            case "session_ended":
                handover.ended(owner, message.session_ended.session_id)
            case "session_left":
                handover.left(owner, message.session_left.session_id, now)
            case "claim_session":
                claim = message.claim_session
                handover.claim(owner, claim.session_id, claim.client_address, now)
            case "draining":
                handover.proxy_drains(owner)
                self._observer.proxies_changed()
            case _:
                return False
        return True

    def _tunnels_reported(self, stream: RelayStream, report: relay_pb2.TunnelReport) -> None:
        if not self.tunnels.report(stream.node_id, report):
            reason = "an RTSP proxy has too many halves of tunnels: some do not find each other"
            self._observer.complain(reason, stream.node_id)
        for owner, found in self.tunnels.take_messages():
            self.send(owner, tunnel_message(found))

    def _open_relay(self, stream: RelayStream, message: relay_pb2.OpenRelay) -> None:
        try:
            relay = relay_of(message, stream.node_id)
        except ValueError as error:
            stream.send(failed(message.relay_id, FailureReason.REFUSED, str(error)))
            return
        self.node.media.registry.open(relay, time.monotonic())

    def _close_relays(self, stream: RelayStream, message: relay_pb2.CloseRelays) -> None:
        now = time.monotonic()
        for relay_id in message.relay_ids:
            self.node.media.registry.close(stream.node_id, relay_id, sender_stopped=message.sender_stopped, now=now)
