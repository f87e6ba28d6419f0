"""One resource type on one stream: what the client asked for, what it has, and what is due.

The same for both protocols; `delta.py` and `sotw.py` add how requests are read and responses written. The idea:

- What the client has is kept as its *difference* from the cache. A client that is up to date costs nothing per
  resource, however many there are.
- A change only marks a name as *fresh*. When the next response may be sent, each fresh name's current content is
  compared with what the client has. So bursts coalesce, only the latest state is ever kept, and what a slow client
  costs is bounded by the names that it asked for.
- One response is in flight at a time; the next is made from the state at the time of its ACK or NACK.
- A NACK is taken apart by `suspects.py`; refused content is held back until it changes or is asked for again. What was
  in a refused response is *doubtful*, since clients apply the good part of it: when it vanishes, or becomes again what
  the client had before, that is sent although the client has acknowledged nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from xds_server.cache import Changes, Names, ResourceCache
from xds_server.names import canonical
from xds_server.resource_types import ResourceType
from xds_server.resources import Content, Resource
from xds_server.subscription.interest import Interest, once
from xds_server.subscription.proxy import ResourceStatus, SyncState
from xds_server.subscription.suspects import Group, Rejection, Suspects

WILDCARD = "*"
RENEWED_AT = 0.5
"""The share of its time to live after which a resource is renewed: one lost renewal does no harm."""

MAX_DOUBTED_VERSIONS = 8
"""Refused versions of a name that are told apart; a client that refuses more keeps its doubt until it accepts one."""

Contents = dict[str, Content | None]
"""Names of a response and what they hold in it; None: removed."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a client says it has from an earlier stream."""

    version: str


class Answer(Enum):
    """What a client says of a response."""

    ACK = "ack"
    NACK = "nack"


Has = Content | Claimed | None
"""What a client has under a name."""


@dataclass(slots=True)
class Journal:
    """What the subscriptions of a stream share: its wake-up, its nonces, and what there is to tell the observer.

    knows_ttl: the client can handle resources with a time to live.
    """

    wake: Callable[[], None]
    nonce_prefix: str
    knows_ttl: bool = False
    acknowledged: list[tuple[str, Mapping[str, str | None]]] = field(default_factory=list)
    rejected: list[tuple[str, str, str]] = field(default_factory=list)
    _nonces: int = 0

    def nonce(self) -> str:
        """A nonce that no other stream of this process uses."""
        self._nonces += 1
        return f"{self.nonce_prefix}.{self._nonces}"


@dataclass(frozen=True, slots=True)
class InFlight:
    """A response without an answer yet. A renewal only renews the time to live of what the client has."""

    nonce: str
    contents: Contents
    group: Group | None = None
    renewal: bool = False


class Subscription(ABC):
    """See the module. Implements `cache.Watcher`. Times are monotonic seconds."""

    def __init__(self, kind: ResourceType, cache: ResourceCache, journal: Journal, doubts: Iterable[str] = ()) -> None:
        self.kind = kind
        self.doubts: dict[str, set[str | None]] = {name: {None} for name in doubts}
        self.rejections: dict[str, Rejection] = {}
        self.in_flight: InFlight | None = None
        self._cache = cache
        self._journal = journal
        self._interest = Interest(kind.type_url, cache, self)
        self._suspects = Suspects()
        self._differs: dict[str, Has] = {}
        self._fresh: Names = {}
        self._forced: set[str] = set()
        self._fallbacks: Names = {}
        self._updates: Names = {}
        self._removals: Names = {}
        self._renewals: dict[str, float] = {}
        self._owes_answer = False

    @property
    def _parts(self) -> tuple[dict[str, Any], ...]:
        """Everything that is kept by name."""
        return (
            self._differs,
            self.doubts,
            self.rejections,
            self._fallbacks,
            self._fresh,
            self._updates,
            self._removals,
            self._renewals,
        )

    # What changes from outside

    def changed(self, changes: Changes) -> None:
        """The cache holds something else under these names."""
        for name, before in changes.items():
            self._differs.setdefault(name, before)
            self._fresh[name] = None
        self._journal.wake()

    def repeat(self, name: str) -> None:
        """The client waits for this, so it is answered even where nothing changed."""
        if self.kind.by_alias:
            self._subscribe(name, force=True)
        elif self._interest.covers(name):
            if name in self.rejections:
                self._fall_back(name)
            else:
                self._force((name,))

    def left_behind(self) -> tuple[str, ...]:
        """What the client may have and will not state on its next stream.

        That is what is in doubt; what it waits for; and all of its collections, of which no client says what it has.
        """
        members = (name for name in self._interest.collected() if self._has(name) is not None)
        sent = self.in_flight.contents if self.in_flight and self.kind.repeated else {}
        return tuple(once((*self.doubts, *sorted(self._forced), *sent, *members)))

    def close(self) -> None:
        """Ask the cache for nothing any more."""
        self._interest.close()

    # What is sent

    @property
    def idle(self) -> bool:
        """Nothing is in flight and nothing waits to be sent."""
        return self.in_flight is None and not self.behind

    @property
    def behind(self) -> bool:
        """Is there an addition or change that has not been sent yet?"""
        return bool(self._fresh or self._updates or self._suspects)

    @property
    def awaited(self) -> bool:
        """Must what points at these wait?"""
        return self.behind or (self.kind.acknowledged_warm and self.in_flight is not None)

    @property
    def due(self) -> bool:
        """May `next_response` have something, whatever the time?"""
        return self.in_flight is None and bool(
            self._fresh or self._updates or self._removals or self._suspects or self._owes_answer
        )

    @property
    def renews_at(self) -> float | None:
        """When something must be renewed next; None while a response is in flight, or when there is nothing."""
        return min(self._renewals.values(), default=None) if self.in_flight is None else None

    @property
    def size(self) -> int:
        """Names that this subscription holds memory for."""
        return len(self._interest.names) + len(self._differs)

    def next_response(self, now: float, *, removals: bool) -> tuple[bytes, Contents] | None:
        """The next response and what is in it, when one is due and none is in flight.

        removals: whether it is time for removals; answers to what the client asked for are always in time.
        """
        if self.due:
            self._look()
            if self._cache.held:
                return None
            group = self._suspects.take()
            contents = self._current(group.names) if group else self._batch(removals)
            if contents is not None:
                self._owes_answer = False
                return self._send(InFlight(self._journal.nonce(), contents, group), now)
        if self._renewals and self.in_flight is None:
            return self._renew(now)
        return None

    def statuses(self) -> Iterator[ResourceStatus]:
        """How far the client is, per name."""
        sent = self.in_flight.contents if self.in_flight else {}
        for name in sorted({*self._interest.wanted(), *self._differs, *sent, *self.rejections}):
            yield self._status(name, sent)

    @abstractmethod
    def _batch(self, removals: bool) -> Contents | None:
        """What the next response holds; None when there is nothing to say."""

    @abstractmethod
    def _encode(self, sent: InFlight) -> bytes:
        """A response on the wire."""

    @property
    def _knows_ttl(self) -> bool:
        return self._journal.knows_ttl

    def _send(self, sent: InFlight, now: float) -> tuple[bytes, Contents]:
        self.in_flight = sent
        if self._knows_ttl:
            self._schedule_renewals(sent.contents, now)
        return self._encode(sent), sent.contents

    def _renew(self, now: float) -> tuple[bytes, Contents] | None:
        due = [name for name, at in self._renewals.items() if at <= now]
        contents = {name: self._cache.get(self.kind.type_url, name) for name in due if name not in self._differs}
        if not contents:
            for name in due:
                del self._renewals[name]
            return None
        return self._send(InFlight(self._journal.nonce(), contents, renewal=True), now)

    def _schedule_renewals(self, contents: Contents, now: float) -> None:
        for name, content in contents.items():
            if content is not None and content.ttl is not None:
                self._renewals[name] = now + content.ttl * RENEWED_AT
            else:
                self._renewals.pop(name, None)

    # What the client has

    def _has(self, name: str) -> Has:
        """What the client has of a name that it asks for."""
        if name in self._differs:
            return self._differs[name]
        return self._cache.get(self.kind.type_url, name)

    def _accept(self, contents: Contents) -> None:
        """The client now has these; called for names that it still asks for."""
        for name, content in contents.items():
            self.doubts.pop(name, None)
            self._now_has(name, content)
            if name in self._differs:
                self._fresh[name] = None  # it went, or came, while nobody looked

    def _now_has(self, name: str, has: Has) -> None:
        if _version(has) == _version(self._cache.get(self.kind.type_url, name)):
            self._differs.pop(name, None)
        else:
            self._differs[name] = has

    # What the client says

    def answer_of(self, request: Any) -> Answer | None:
        """What a request says of the response in flight; None: nothing."""
        if self.in_flight is None or request.response_nonce != self.in_flight.nonce:
            return None
        return Answer.NACK if request.HasField("error_detail") else Answer.ACK

    def _take(self, answer: Answer | None, request: Any) -> None:
        if answer is Answer.ACK:
            self._acknowledge()
        elif answer is Answer.NACK:
            self._refuse(request.error_detail.message)

    def _acknowledge(self) -> None:
        sent, self.in_flight = self.in_flight, None
        if sent is None:
            return
        covers = self._interest.covers
        contents = {name: content for name, content in sent.contents.items() if covers(name)}
        self._accept(contents)
        if self.rejections:
            for name in contents.keys() & self.rejections.keys() - self._differs.keys():
                del self.rejections[name]
        self._report(_versions(contents))
        if sent.group is not None:
            self._convict(self._suspects.accepted(sent.group))

    def _refuse(self, message: str) -> None:
        sent, self.in_flight = self.in_flight, None
        if sent is not None:
            gone = [name for name in sent.contents if not self._interest.covers(name)]
            for name, content in sent.contents.items():
                if self._interest.covers(name):
                    doubted = self.doubts.setdefault(name, set())
                    doubted.add(_version(content) if len(doubted) < MAX_DOUBTED_VERSIONS else None)
                    self._fresh[name] = None  # what is no longer what was refused is not suspected for it
            self._convict(self._suspects.refused(_versions(sent.contents), sent.group, message, gone))

    def _convict(self, rejections: Mapping[str, Rejection]) -> None:
        self.rejections.update(rejections)
        for name, rejection in rejections.items():
            self._journal.rejected.append((self.kind.type_url, name, rejection.message))
            if self.kind.repeated:
                self._fall_back(name)
            else:
                self._doubt_no_more(name, rejection.version)

    def _fall_back(self, name: str) -> None:
        """Send again what the client had before it refused this.

        Envoy lets go of it when a refusal ends the wait of what points at it: a cluster would be without endpoints.
        """
        if isinstance(self._has(name), Resource):
            self._fallbacks[name] = None
            self._fresh[name] = None

    # What the client asks for

    def _subscribe(self, name: str, *, force: bool) -> None:
        """Take up a name; `force`: answer whatever the client has already."""
        known = self._interest.covers(name)
        meaning = self._interest.add(name)
        for each in meaning:
            if not known:
                self._lacks(each)
            self._fresh[each] = None
        if force:
            self._forced.update(meaning)

    def _unsubscribe(self, name: str) -> tuple[str, ...]:
        meaning = self._interest.drop(name)
        self._forget(each for each in meaning if not self._interest.covers(each))
        return meaning

    def _subscribe_all(self) -> None:
        """Everything is wanted, of which the client has what it had by name."""
        if not self._interest.wildcard:
            for name in self._cache.resources(self.kind.type_url):
                if not self._interest.covers(name):
                    self._lacks(name)
            self._interest.add_all()
        self._fresh.update(dict.fromkeys(self._differs))

    def _unsubscribe_all(self) -> None:
        known = {*self._interest.wanted(), *self._differs, *self._updates, *self._removals, *self.rejections}
        self._interest.drop_all()
        self._forget(sorted(name for name in known if not self._interest.covers(name)))

    def _doubt_again(self) -> None:
        """What the client may have from streams before is looked at, once it is known what it asks for."""
        self.doubts = {name: versions for name, versions in self.doubts.items() if self._interest.covers(name)}
        self._fresh.update(dict.fromkeys(self.doubts))

    def _doubt_no_more(self, name: str, version: str | None) -> None:
        """The client certainly did not take over this content."""
        versions = self.doubts.get(name, set())
        versions.discard(version)
        if not versions:
            self.doubts.pop(name, None)

    def _lacks(self, name: str) -> None:
        """The client has nothing under this name, unless it has said otherwise."""
        if self._cache.get(self.kind.type_url, name) is not None:
            self._differs.setdefault(name, None)

    def _forget(self, names: Iterable[str]) -> None:
        """The client neither has these any more nor wants them."""
        lost: dict[str, str | None] = {}
        for name in names:
            if self._has(name) is not None:
                lost[name] = None
            for part in self._parts:
                part.pop(name, None)
            self._forced.discard(name)
            self._suspects.drop(name)
        self._report(lost)

    def _force(self, names: Iterable[str]) -> None:
        """Answer for these names whatever the client has already."""
        for name in names:
            self._fresh[name] = None
            self._forced.add(name)

    # What is due

    def _current(self, names: Iterable[str]) -> Contents:
        return {name: self._content(name) for name in names}

    def _content(self, name: str) -> Content | None:
        """What is to be sent under a name."""
        if name in self._fallbacks:
            del self._fallbacks[name]
            has = self._has(name)
            if isinstance(has, Resource):
                return has
        return self._cache.get(self.kind.type_url, name)

    def _look(self) -> None:
        """Compare every fresh name with what the client has, and file it under what is to be done."""
        fresh, self._fresh = self._fresh, {}
        settled: dict[str, str | None] = {}
        none_refused = not (self.rejections or self._suspects or self._fallbacks)
        for name in fresh:
            if not self._interest.covers(name):
                continue
            current = self._cache.get(self.kind.type_url, name)
            version = _version(current)
            self._updates.pop(name, None)
            self._removals.pop(name, None)
            if not none_refused and self._held_back(name, version):
                if name in self._fallbacks:
                    self._updates[name] = None
                continue
            self._fallbacks.pop(name, None)
            if name in self._forced:
                self._updates[name] = None
            elif name in self.doubts or _version(self._has(name)) != version:
                (self._updates if current else self._removals)[name] = None
            else:
                self._differs.pop(name, None)
                settled[name] = version
        self._report(settled)

    def _held_back(self, name: str, version: str | None) -> bool:
        if name in self._forced:
            self.rejections.pop(name, None)
            self._suspects.drop(name)
            return False
        if self._suspects.holds(name, version):
            return True
        self._suspects.drop(name)
        rejection = self.rejections.get(name)
        if rejection is not None and rejection.version == version:
            return True
        self.rejections.pop(name, None)
        return False

    def _report(self, versions: Mapping[str, str | None]) -> None:
        if versions:
            self._journal.acknowledged.append((self.kind.type_url, versions))

    def _status(self, name: str, sent: Mapping[str, Content | None]) -> ResourceStatus:
        version = _version(self._cache.get(self.kind.type_url, name))
        acknowledged = _version(self._has(name))
        last = _version(sent.get(name)) or acknowledged
        error = None
        rejection = self.rejections.get(name)
        if rejection is not None and rejection.version == version:
            state, last, error = SyncState.REJECTED, rejection.version, rejection.message
        elif name in sent:
            state = SyncState.SENT
        elif acknowledged == version:
            state = SyncState.SYNCED
        else:
            state = SyncState.STALE if acknowledged is not None else SyncState.NOT_SENT
        return ResourceStatus(
            type_url=self.kind.type_url,
            name=name,
            version_sent=last,
            version_acknowledged=acknowledged,
            state=state,
            error=error,
        )


def canonical_names(names: Iterable[str]) -> list[str]:
    """The names of a request in canonical form."""
    return [canonical(name) for name in names]


def _version(has: Has) -> str | None:
    return has.version if has is not None else None


def _versions(contents: Contents) -> dict[str, str | None]:
    return {name: _version(content) for name, content in contents.items()}
