"""What this proxy holds of the control plane: relays and sessions, in the form in which it states them.

Pure. The book is the truth on this side: a stream that (re)connects begins with `state()`, and everything that a
lost stream may have swallowed is in it or in `unanswered()`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from mesh.wire import relay_pb2


class RelayFailure(Enum):
    """Why there is no relay."""

    NO_FREE_SLOT = "no free slot"
    MEDIA_PROXY_UNAVAILABLE = "media proxy unavailable"
    REFUSED = "refused"
    CONTROL_PLANE_UNAVAILABLE = "control plane unavailable"


class RelayError(Exception):
    """A relay could not be opened; the message is for people."""

    def __init__(self, reason: RelayFailure, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Where a track's media goes: an IP address and the UDP ports of RTP and RTCP."""

    address: str
    rtp_port: int
    rtcp_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Whose packets a relay takes: an IP address, and the UDP ports of RTP and RTCP. 0: any."""

    address: str
    rtp_port: int = 0
    rtcp_port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """A relay's way through the media proxy; RTP at the named ports, RTCP at the next.

    The sender sends to `ingress_port`; the receiver sees media come from `egress_port`. `addresses` are the media
    proxy's, at most one a family, wildcards included.
    """

    slot: int
    addresses: tuple[str, ...]
    ingress_port: int
    egress_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocated:
    """The control plane gave a relay its ports."""

    relay_id: str
    allocation: Allocation


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A relay may be opened with each of these slots, without asking first."""

    allocations: tuple[Allocation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Media may flow through a relay."""

    relay_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A relay of a session is not, or no longer, there."""

    relay_id: str
    session_id: str
    error: RelayError


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEndAsked:
    """An operator ends a session."""

    session_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaChanged:
    """What the media proxy has seen of relays that play. `silent`: by relay, for how many seconds nothing came;
    `flowing`: media has begun, or begun again; `receivers_alive`: their receivers have sent RTCP."""

    silent: Mapping[str, float]
    flowing: tuple[str, ...]
    receivers_alive: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHanded:
    """This proxy goes on with a session of another one; `allocations` are those of its relays."""

    session: relay_pb2.Session
    allocations: Mapping[str, Allocation]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveAsked:
    """Another proxy goes on with a session of this one."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRefused:
    """A session that was asked for is nobody's, or not to be had."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelFound:
    """The GET of a tunnel that was sought is at another proxy, which is reached at this address and TCP port: in the
    clear, or by TLS where a certificate is named (its SHA-256)."""

    tunnel: bytes
    address: str
    port: int
    ticket: str
    certificate: bytes


Event = (
    Allocated
    | Granted
    | Ready
    | Failed
    | SessionEndAsked
    | MediaChanged
    | SessionHanded
    | LeaveAsked
    | ClaimRefused
    | TunnelFound
)

_FAILURES = {
    relay_pb2.RelayFailed.NO_FREE_SLOT: RelayFailure.NO_FREE_SLOT,
    relay_pb2.RelayFailed.MEDIA_PROXY_UNAVAILABLE: RelayFailure.MEDIA_PROXY_UNAVAILABLE,
}


class RelayBook:
    """Relays and sessions of one proxy. `instance` is of this process alone, `node_id` may be given to another too."""

    def __init__(self, node_id: str, instance: str) -> None:
        self._node_id = node_id
        self._instance = instance
        self._relays: dict[str, relay_pb2.OpenRelay] = {}
        self._slots: dict[str, int] = {}
        self._sessions: dict[str, relay_pb2.Session] = {}
        self._draining = False
        self._listens: dict[str, relay_pb2.ListenAddress] = {}

    def listens(self, scheme: str, address: str, port: int) -> None:
        """This proxy listens for "rtsp" or "rtsps" there, by TCP."""
        self._listens[scheme] = relay_pb2.ListenAddress(address=address, port=port)

    def open(
        self,
        relay_id: str,
        session_id: str,
        media: str,
        receiver: Receiver | None,
        granted: Allocation | None = None,
        sender: Sender | None = None,
    ) -> relay_pb2.ProxyMessage:
        """A relay is wanted; with a slot that was granted, it is held from now on. Without a receiver it leads nowhere
        until it is moved, and without a sender it takes whoever sends first."""
        if granted is not None:
            self._slots[relay_id] = granted.slot
        self._relays[relay_id] = relay_pb2.OpenRelay(
            relay_id=relay_id,
            session_id=session_id,
            media=media,
            receiver=None if receiver is None else _receiver(receiver),
            slot=None if granted is None else granted.slot,
            sender=None if sender is None else _sender(sender),
        )
        return relay_pb2.ProxyMessage(open_relay=self._relays[relay_id])

    def move(self, relay_id: str, receiver: Receiver | None, sender: Sender | None = None) -> relay_pb2.ProxyMessage:
        """A relay shall lead elsewhere, or nowhere, from this sender. Raises KeyError for one that is not held."""
        relay = self._relays[relay_id]
        for field in ("receiver", "sender"):
            relay.ClearField(field)
        if receiver is not None:
            relay.receiver.CopyFrom(_receiver(receiver))
        if sender is not None:
            relay.sender.CopyFrom(_sender(sender))
        return relay_pb2.ProxyMessage(open_relay=self._relays[relay_id])

    def close(self, relay_ids: Collection[str], *, sender_stopped: bool) -> relay_pb2.ProxyMessage:
        """Relays are done with."""
        for relay_id in relay_ids:
            self._relays.pop(relay_id, None)
            self._slots.pop(relay_id, None)
        return relay_pb2.ProxyMessage(
            close_relays=relay_pb2.CloseRelays(relay_ids=relay_ids, sender_stopped=sender_stopped)
        )

    def session_of(self, relay_id: str) -> str | None:
        """The id of the session that a relay was opened for; None for one that is not held."""
        relay = self._relays.get(relay_id)
        return None if relay is None else relay.session_id

    def keep_session(self, session: relay_pb2.Session) -> None:
        """A session is new or changed."""
        self._sessions[session.session_id] = session

    def sessions(self, session_ids: Iterable[str]) -> Iterable[relay_pb2.ProxyMessage]:
        """What to tell of these sessions, as far as they still are."""
        for session_id in session_ids:
            if session_id in self._sessions:
                yield relay_pb2.ProxyMessage(session=self._sessions[session_id])

    def end_session(self, session_id: str, reason: str) -> relay_pb2.ProxyMessage:
        """A session is over."""
        self._sessions.pop(session_id, None)
        return relay_pb2.ProxyMessage(session_ended=relay_pb2.SessionEnded(session_id=session_id, reason=reason))

    def claim(self, session_id: str, client_address: str) -> relay_pb2.ProxyMessage:
        """A client at this address names a session that is not here."""
        return relay_pb2.ProxyMessage(
            claim_session=relay_pb2.ClaimSession(session_id=session_id, client_address=client_address)
        )

    def leave(self, session_id: str) -> relay_pb2.ProxyMessage:
        """A session is left, with its relays, for another proxy to go on with it."""
        self._sessions.pop(session_id, None)
        for relay_id in [key for key, relay in self._relays.items() if relay.session_id == session_id]:
            del self._relays[relay_id]
            self._slots.pop(relay_id, None)
        return relay_pb2.ProxyMessage(session_left=relay_pb2.SessionLeft(session_id=session_id))

    def drain(self) -> relay_pb2.ProxyMessage:
        """This proxy takes no sessions over from now on."""
        self._draining = True
        return relay_pb2.ProxyMessage(draining=relay_pb2.Draining())

    def state(self) -> relay_pb2.ProxyMessage:
        """The first message of a stream: all that is held."""
        return relay_pb2.ProxyMessage(
            state=relay_pb2.State(
                node_id=self._node_id,
                instance=self._instance,
                relays=[
                    relay_pb2.HeldRelay(relay=self._relays[relay_id], slot=slot)
                    for relay_id, slot in self._slots.items()
                ],
                sessions=self._sessions.values(),
                draining=self._draining,
                **self._listens,
            )
        )

    def unanswered(self) -> Iterable[relay_pb2.ProxyMessage]:
        """What to say after `state`: relays that were asked for and never given a slot."""
        for relay_id, relay in self._relays.items():
            if relay_id not in self._slots:
                yield relay_pb2.ProxyMessage(open_relay=relay)

    def receive(self, message: relay_pb2.ControlMessage) -> Event | None:
        """What a message of the control plane means; None for one about a relay that is closed meanwhile."""
        match message.WhichOneof("message"):
            case "relay_allocated":
                return self._allocated(message.relay_allocated)
            case "slots_granted":
                return Granted(allocations=tuple(_allocation(slot) for slot in message.slots_granted.slots))
            case "relay_ready" if message.relay_ready.relay_id in self._relays:
                return Ready(relay_id=message.relay_ready.relay_id)
            case "relay_failed" if message.relay_failed.relay_id in self._relays:
                return self._failed(message.relay_failed)
            case "end_session":
                return SessionEndAsked(session_id=message.end_session.session_id, reason=message.end_session.reason)
            case "relay_activity":
                return self._media_changed(message.relay_activity)
            case "session_handed":
                return self._handed(message.session_handed)
            case "leave_session":
                return LeaveAsked(session_id=message.leave_session.session_id)
            case "claim_refused":
                return ClaimRefused(session_id=message.claim_refused.session_id)
            case "tunnel_found":
                return _found(message.tunnel_found)
        return None

    def _media_changed(self, message: relay_pb2.RelayActivity) -> Event:
        return MediaChanged(
            silent={each.relay_id: each.seconds for each in message.silent if each.relay_id in self._relays},
            flowing=tuple(relay_id for relay_id in message.flowing if relay_id in self._relays),
            receivers_alive=tuple(relay_id for relay_id in message.receiver_alive if relay_id in self._relays),
        )

    def _handed(self, message: relay_pb2.SessionHanded) -> Event:
        session, allocations = message.session, {}
        self._sessions[session.session_id] = session
        for each in message.relays:
            self._relays[each.relay.relay_id] = each.relay
            self._slots[each.relay.relay_id] = each.slot.number
            allocations[each.relay.relay_id] = _allocation(each.slot)
        return SessionHanded(session=session, allocations=allocations)

    def _allocated(self, message: relay_pb2.RelayAllocated) -> Event | None:
        if message.relay_id not in self._relays:
            return None
        self._slots[message.relay_id] = message.slot.number
        return Allocated(relay_id=message.relay_id, allocation=_allocation(message.slot))

    def _failed(self, message: relay_pb2.RelayFailed) -> Event:
        session_id = self._relays.pop(message.relay_id).session_id
        self._slots.pop(message.relay_id, None)
        reason = _FAILURES.get(message.reason, RelayFailure.REFUSED)
        return Failed(relay_id=message.relay_id, session_id=session_id, error=RelayError(reason, message.message))


def _found(message: relay_pb2.TunnelFound) -> TunnelFound:
    return TunnelFound(
        tunnel=message.tunnel,
        address=message.address,
        port=message.port,
        ticket=message.ticket,
        certificate=message.certificate,
    )


def _allocation(slot: relay_pb2.Slot) -> Allocation:
    return Allocation(
        slot=slot.number,
        addresses=tuple(slot.addresses),
        ingress_port=slot.ingress_port,
        egress_port=slot.egress_port,
    )


def _sender(sender: Sender) -> relay_pb2.Sender:
    return relay_pb2.Sender(address=sender.address, rtp_port=sender.rtp_port, rtcp_port=sender.rtcp_port)


def _receiver(receiver: Receiver) -> relay_pb2.Receiver:
    return relay_pb2.Receiver(address=receiver.address, rtp_port=receiver.rtp_port, rtcp_port=receiver.rtcp_port)
