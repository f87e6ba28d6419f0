"""What this proxy holds of the control plane: relays and sessions, in the form in which it states them.

Pure. The book is the truth on this side: a stream that (re)connects begins with `state()`, and everything that a
lost stream may have swallowed is in it or in `unanswered()`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
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
    """A relay is not, or no longer, there."""

    relay_id: str
    error: RelayError


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEndAsked:
    """An operator ends a session."""

    session_id: str
    reason: str


Event = Allocated | Granted | Ready | Failed | SessionEndAsked

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

    def open(
        self, relay_id: str, session_id: str, media: str, receiver: Receiver | None, granted: Allocation | None = None
    ) -> relay_pb2.ProxyMessage:
        """A relay is wanted; with a slot that was granted, it is held from now on. Without a receiver it leads nowhere
        until it is moved."""
        if granted is not None:
            self._slots[relay_id] = granted.slot
        self._relays[relay_id] = relay_pb2.OpenRelay(
            relay_id=relay_id,
            session_id=session_id,
            media=media,
            receiver=None if receiver is None else _receiver(receiver),
            slot=None if granted is None else granted.slot,
        )
        return relay_pb2.ProxyMessage(open_relay=self._relays[relay_id])

    def move(self, relay_id: str, receiver: Receiver) -> relay_pb2.ProxyMessage:
        """A relay shall lead elsewhere. Raises KeyError for one that is not held."""
        self._relays[relay_id].receiver.CopyFrom(_receiver(receiver))
        return relay_pb2.ProxyMessage(open_relay=self._relays[relay_id])

    def close(self, relay_ids: Collection[str], *, sender_stopped: bool) -> relay_pb2.ProxyMessage:
        """Relays are done with."""
        for relay_id in relay_ids:
            self._relays.pop(relay_id, None)
            self._slots.pop(relay_id, None)
        return relay_pb2.ProxyMessage(
            close_relays=relay_pb2.CloseRelays(relay_ids=relay_ids, sender_stopped=sender_stopped)
        )

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
        return None

    def _allocated(self, message: relay_pb2.RelayAllocated) -> Event | None:
        if message.relay_id not in self._relays:
            return None
        self._slots[message.relay_id] = message.slot.number
        return Allocated(relay_id=message.relay_id, allocation=_allocation(message.slot))

    def _failed(self, message: relay_pb2.RelayFailed) -> Event:
        self._relays.pop(message.relay_id, None)
        self._slots.pop(message.relay_id, None)
        reason = _FAILURES.get(message.reason, RelayFailure.REFUSED)
        return Failed(relay_id=message.relay_id, error=RelayError(reason, message.message))


def _allocation(slot: relay_pb2.Slot) -> Allocation:
    return Allocation(
        slot=slot.number,
        addresses=tuple(slot.addresses),
        ingress_port=slot.ingress_port,
        egress_port=slot.egress_port,
    )


def _receiver(receiver: Receiver) -> relay_pb2.Receiver:
    return relay_pb2.Receiver(address=receiver.address, rtp_port=receiver.rtp_port, rtcp_port=receiver.rtcp_port)
