"""What a relay is, and what is told of one: values of the registry. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from xds_server.relays.senders import Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Where a track's media goes: an IP address and the UDP ports of RTP and RTCP."""

    address: str
    rtp_port: int
    rtcp_port: int


class RelayState(Enum):
    """How far a relay has come."""

    WAITING = "waiting"  # no slot yet: the registry has not settled
    OPENING = "opening"  # has a slot; the media proxy has not acknowledged it
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """One track's way through the media proxy. Times are monotonic seconds.

    An open names a `slot` when it uses a grant. Without a `receiver` the slot is held, and leads nowhere yet; without
    a `sender` it takes whoever sends first.
    """

    relay_id: str
    session_id: str
    media: str
    receiver: Receiver | None
    owner: str
    state: RelayState
    deadline: float
    slot: int | None = None
    sender: Sender | None = None

    @property
    def ends(self) -> tuple[Sender | None, Receiver | None]:
        """Between whom it leads."""
        return self.sender, self.receiver


class FailureReason(Enum):
    """Why a relay was not opened."""

    NO_FREE_SLOT = "no free slot"
    MEDIA_PROXY_UNAVAILABLE = "media proxy unavailable"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocated:
    """The relay's ports are known; the media proxy does not have them yet."""

    relay_id: str
    slot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The media proxy has the relay: media may flow."""

    relay_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The relay is not, or no longer, there."""

    relay_id: str
    reason: FailureReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The proxy may open one relay with each of these slots, without asking first."""

    slots: tuple[int, ...]


RelayMessage = Allocated | Ready | Failed | Granted
