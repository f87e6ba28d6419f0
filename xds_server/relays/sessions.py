"""Which RTSP sessions there are, whose each is, and who goes on with those whose proxy is gone.

A session whose legs are both UDP needs no proxy for its media, and another proxy can go on with it: its *continuation*
says how. It is handed over together with its relays, so that they always have one owner. What is to be told to whom
collects in `messages`, in the order in which it must be told.

A proxy that only lost its stream may come back, so its sessions wait for it a little; one that was started anew has
lost them. A session that nobody can take waits for the next proxy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from mesh.wire import relay_pb2
from xds_server.relays.registry import LOST_PROXY_GRACE, RelayRegistry
from xds_server.relays.relay import Relay

NOBODY = ""
"""Owner of sessions, and of their relays, that wait for a proxy. No proxy is called so."""

# A proxy that only lost its stream is back sooner: it tries at least once a second.
HANDOVER_DELAY = 3.0
# A proxy that is to leave a session says so at once; a client waits for it.
LEAVE_TIMEOUT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """The proxy goes on with this session, and has its relays."""

    session: relay_pb2.Session
    relays: tuple[Relay, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Another proxy goes on with this session."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The proxy cannot have the session that it asked for."""

    session_id: str


SessionMessage = Handed | Leave | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """Who gets a session when its owner has left it, or at `deadline`."""

    owner: str
    deadline: float


class SessionRegistry:
    """Sessions by id, and their owners: node ids of RTSP proxies. Times are monotonic seconds."""

    def __init__(self, relays: RelayRegistry) -> None:
        self.sessions: dict[str, relay_pb2.Session] = {}
        self.owners: dict[str, str] = {}
        self.messages: list[tuple[str, SessionMessage]] = []
        self._relays = relays
        self._instances: dict[str, str] = {}  # of proxies that are connected, and of those that may come back
        self._connected: set[str] = set()
        self._draining: set[str] = set()
        self._away: dict[str, float] = {}  # proxies that went away, and until when their sessions wait for them
        self._waiting: dict[str, float] = {}  # sessions of nobody, and until when they wait; earliest first
        self._claims: dict[str, _Claim] = {}
        self._leaving: set[tuple[str, str]] = set()  # proxies that were told to leave a session, and have not said so
        self._given_back: set[tuple[str, str]] = set()  # of those, who got it again meanwhile
        self._taken_from: set[tuple[str, str]] = set()  # proxies that may not know yet that they lost a session
        self._unheard: set[str] = set()  # sessions that were handed over, until their new owner tells of them
        self._counts: Counter[str] = Counter()

    @property
    def accepting(self) -> frozenset[str]:
        """The proxies that are connected and take sessions on."""
        return frozenset(self._connected - self._draining)

    def state(self, state: relay_pb2.State, now: float) -> frozenset[str]:
        """A proxy states all its sessions. Gives those that others go on with: their relays are not its own either.
        Once its relays are stated too, it is connected."""
        owner = state.node_id
        self._away.pop(owner, None)
        self._expect_nothing(owner)
        if self._instances.get(owner, state.instance) != state.instance:
            self._abandon(owner, now)
        stated = {session.session_id for session in state.sessions}
        for session_id in self._of(owner):
            if session_id in self._unheard - stated:
                self._orphan(session_id, now)
            elif session_id not in stated:
                self._forget(session_id)
        self._instances[owner] = state.instance
        self._draining.discard(owner)
        if state.draining:
            self._draining.add(owner)
        self._taken_from = {each for each in self._taken_from if each[0] != owner or each[1] in stated}
        return frozenset(session.session_id for session in state.sessions if not self._take_back(owner, session))

    def proxy_connected(self, owner: str) -> None:
        """A proxy has stated what it holds: from now on it may get what is others'."""
        self._connected.add(owner)
        self._hand_out()

    def keep(self, owner: str, session: relay_pb2.Session) -> None:
        """A proxy tells of a session; of one that another proxy has, or had to its end, nothing new comes from it."""
        session_id = session.session_id
        if self.owners.get(session_id, owner) == owner and not self._ended_elsewhere(owner, session_id):
            self._unheard.discard(session_id)
            self.sessions[session_id] = session
            self._set_owner(session_id, owner)

    def ended(self, owner: str, session_id: str) -> None:
        """A session is over."""
        self._has_left(owner, session_id)
        if self.owners.get(session_id) == owner:
            self._forget(session_id)

    def left(self, owner: str, session_id: str, now: float) -> None:
        """A proxy does nothing more for a session: whoever claimed it goes on, or whoever can."""
        given_back = (owner, session_id) in self._given_back
        self._has_left(owner, session_id)
        if given_back or self.owners.get(session_id) != owner:
            return  # it speaks of the time before
        claim = self._claims.pop(session_id, None)
        if not self._can_go_on(session_id):
            self.release(session_id, now)
        elif claim is not None:
            self._give(session_id, claim.owner)
        else:
            self._orphan(session_id, now)
            self._hand_out()
        self._taken_from.discard((owner, session_id))

    def claim(self, owner: str, session_id: str, client_address: str, now: float) -> None:
        """A client of this proxy names a session: it gets it if it is of that client, from whoever has it."""
        session = self.sessions.get(session_id)
        possible = session is not None and session.client_address == client_address and self._can_go_on(session_id)
        holder = self.owners.get(session_id)
        if not possible or holder == owner or owner in self._draining or session_id in self._claims:
            self.messages.append((owner, Refused(session_id=session_id)))
        elif holder in self._connected:
            self._claims[session_id] = _Claim(owner=owner, deadline=now + LEAVE_TIMEOUT)
            self._tell_to_leave(holder, session_id)
        else:
            self._give(session_id, owner)

    def proxy_drains(self, owner: str) -> None:
        """A proxy is about to end: it gets no sessions."""
        self._draining.add(owner)

    def proxy_lost(self, owner: str, now: float) -> None:
        """A proxy's stream ended."""
        self._connected.discard(owner)
        self._expect_nothing(owner)
        self._away[owner] = now + HANDOVER_DELAY
        for session_id, claim in list(self._claims.items()):
            if claim.owner == owner:
                del self._claims[session_id]  # its owner may have left it already; then it waits, and is handed out
            elif self.owners.get(session_id) == owner:
                del self._claims[session_id]
                self._give_claimed(session_id, claim.owner)

    def proxy_departed(self, owner: str) -> None:
        """A proxy has been gone for too long: what it had is released."""
        self._instances.pop(owner, None)
        self._draining.discard(owner)
        self._taken_from = {each for each in self._taken_from if each[0] != owner}
        for session_id in self._of(owner):
            self._forget(session_id)

    def release(self, session_id: str, now: float) -> None:
        """Nobody goes on with a session: what it has is given back."""
        owner = self.owners[session_id]
        for relay_id in _relay_ids(self.sessions[session_id]):
            self._relays.close(owner, relay_id, sender_stopped=False, now=now)
        self._forget(session_id)

    def tick(self, now: float) -> None:
        """Hand over what has waited long enough; release what waited for too long."""
        for owner in [owner for owner, until in self._away.items() if until <= now]:
            del self._away[owner]
            self._abandon(owner, now)
        for session_id in [key for key, claim in self._claims.items() if claim.deadline <= now]:
            self._give_claimed(session_id, self._claims.pop(session_id).owner)
        self._hand_out()
        while self._waiting and self._waiting[first := next(iter(self._waiting))] <= now:
            self.release(first, now)

    def take_messages(self) -> list[tuple[str, SessionMessage]]:
        """What to tell, each with the proxy that it is for."""
        messages, self.messages = self.messages, []
        return messages

    def next_timer(self) -> float | None:
        """When `tick` is due."""
        times = [*self._away.values(), *(claim.deadline for claim in self._claims.values())]
        if self._waiting:
            times.append(next(iter(self._waiting.values())))
        return min(times, default=None)

    def _take_back(self, owner: str, session: relay_pb2.Session) -> bool:
        """A proxy states a session: whether it is its own (again)."""
        session_id = session.session_id
        holder = self.owners.get(session_id, owner)
        if (holder != owner and holder in self._connected) or self._ended_elsewhere(owner, session_id):
            self._tell_to_leave(owner, session_id)
            return False
        if holder != owner:
            self._move(session_id, owner)
        self.sessions[session_id] = session
        self._set_owner(session_id, owner)
        self._unheard.discard(session_id)
        return True

    def _ended_elsewhere(self, owner: str, session_id: str) -> bool:
        """Whether a session has ended at others than this proxy, which had it before and may not know that."""
        return session_id not in self.owners and (owner, session_id) in self._taken_from

    def _abandon(self, owner: str, now: float) -> None:
        """A process has lost all its sessions: those that others can go on with are nobody's now.

        Of a session with more relays than it has told of, a track was set up in the last moment: its player believes in
        what nobody could go on with.
        """
        held = Counter(relay.session_id for relay in self._relays.relays.values() if relay.owner == owner)
        for session_id in self._of(owner):
            told = len(self.sessions[session_id].continuation.ways)
            if self._can_go_on(session_id) and held[session_id] == told:
                self._orphan(session_id, now)

    def _orphan(self, session_id: str, now: float) -> None:
        self._move(session_id, NOBODY)
        self._waiting[session_id] = now + LOST_PROXY_GRACE

    def _hand_out(self) -> None:
        """Sessions of nobody go to the proxies that have the fewest."""
        proxies = sorted(self._connected - self._draining)
        if proxies:
            for session_id in filter(self._can_go_on, list(self._waiting)):  # who cannot waits to be released
                self._give(session_id, min(proxies, key=self._counts.__getitem__))

    def _give_claimed(self, session_id: str, owner: str) -> None:
        """Whoever claimed a session gets it, unless it has lost a relay meanwhile."""
        if self._can_go_on(session_id):
            self._give(session_id, owner)
        else:
            self.messages.append((owner, Refused(session_id=session_id)))

    def _give(self, session_id: str, owner: str) -> None:
        relays = self._move(session_id, owner)
        self._unheard.add(session_id)
        if (owner, session_id) in self._leaving:
            self._given_back.add((owner, session_id))
        self.messages.append((owner, Handed(session=self.sessions[session_id], relays=relays)))

    def _tell_to_leave(self, owner: str, session_id: str) -> None:
        self._leaving.add((owner, session_id))
        self.messages.append((owner, Leave(session_id=session_id)))

    def _has_left(self, owner: str, session_id: str) -> None:
        for told in (self._leaving, self._given_back, self._taken_from):
            told.discard((owner, session_id))

    def _expect_nothing(self, owner: str) -> None:
        """What a proxy was told has been lost with its stream."""
        self._leaving = {each for each in self._leaving if each[0] != owner}
        self._given_back = {each for each in self._given_back if each[0] != owner}

    def _move(self, session_id: str, owner: str) -> tuple[Relay, ...]:
        """A session changes hands, with its relays."""
        before = self.owners[session_id]
        if before != NOBODY:
            self._taken_from.add((before, session_id))
        self._taken_from.discard((owner, session_id))
        self._set_owner(session_id, owner)
        return self._relays.hand_over(_relay_ids(self.sessions[session_id]), owner)

    def _can_go_on(self, session_id: str) -> bool:
        """Whether another proxy could go on with a session: it is told how, and its relays are there."""
        session = self.sessions[session_id]
        return session.HasField("continuation") and all(map(self._relays.is_open, _relay_ids(session)))

    def _set_owner(self, session_id: str, owner: str) -> None:
        self._waiting.pop(session_id, None)
        before = self.owners.get(session_id)
        if before is not None:
            self._counts[before] -= 1
        self.owners[session_id] = owner
        self._counts[owner] += 1

    def _forget(self, session_id: str) -> None:
        self._counts[self.owners.pop(session_id)] -= 1
        del self.sessions[session_id]
        self._waiting.pop(session_id, None)
        self._unheard.discard(session_id)
        claim = self._claims.pop(session_id, None)
        if claim is not None:
            self.messages.append((claim.owner, Refused(session_id=session_id)))

    def _of(self, owner: str) -> list[str]:
        return [session_id for session_id, each in self.owners.items() if each == owner]


def _relay_ids(session: relay_pb2.Session) -> Iterable[str]:
    return (way.relay_id for way in session.continuation.ways)
