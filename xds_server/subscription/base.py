"""One resource type on one stream: what the client asked for, what it has, and what is due.

The same for both protocols; `delta.py` and `sotw.py` add how requests are read and responses written. The idea:

- What the client has is kept as its difference from the cache (`holdings.py`).
- A change only marks a name as *fresh*. When the next response may be sent, each fresh name's current content is
  compared with what the client has. So bursts coalesce, only the latest state is ever kept, and what a slow client
  costs is bounded by the names that it asked for.
- One response is in flight at a time; the next is made from the state at the time of its ACK or NACK.
- A NACK is taken apart by `suspects.py`; refused content is held back until it changes or is asked for again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from xds_server.cache import Changes, Names, ResourceCache
from xds_server.names import collection_of, is_collection
from xds_server.resource_types import ResourceType
from xds_server.resources import Content, Resource
from xds_server.subscription.exchange import (
    Answer,
    Contents,
    DoubtedVersions,
    InFlight,
    Journal,
    version_of,
    versions_of,
)
from xds_server.subscription.holdings import Holdings
from xds_server.subscription.interest import Interest, once
from xds_server.subscription.proxy import ResourceStatus, SyncState
from xds_server.subscription.renewals import Renewals
from xds_server.subscription.status import status_of
from xds_server.subscription.suspects import Rejection, Suspects

MAX_ERROR_CHARACTERS = 4_096
"""Of what a client says when it refuses: that is searched for every name that was sent, and kept."""


class Subscription(ABC):
    """See the module. Implements `cache.Watcher`. Times are monotonic seconds."""

    def __init__(
        self, kind: ResourceType, cache: ResourceCache, journal: Journal, doubts: Mapping[str, DoubtedVersions]
    ) -> None:
        self.kind = kind
        self.rejections: dict[str, Rejection] = {}
        self.in_flight: InFlight | None = None
        self._cache = cache
        self._journal = journal
        self._interest = Interest(kind.type_url, cache, self)
        self._holdings = Holdings(kind.type_url, cache, doubts)
        self._suspects = Suspects()
        self._fresh: Names = {}
        self._forced: set[str] = set()
        self._fallbacks: Names = {}
        self._updates: Names = {}
        self._removals: Names = {}
        self._renewals = Renewals()
        self._owes_answer = False
        self.turns = 0
        """How many names, and wildcards, the client has taken up and let go."""

    # What changes from outside

    def changed(self, changes: Changes) -> None:
        """The cache holds something else under these names."""
        for name, before in changes.items():
            self._holdings.differs.setdefault(name, before)
            self._fresh[name] = None
        self._journal.wake()

    def repeat(self, name: str) -> None:
        """The client waits for this, so it is answered even where nothing changed."""
        if self.kind.by_alias:
            self._subscribe(name, force=True)
        elif self._interest.covers(name) and not (name in self.rejections and self._fall_back(name)):
            self._force((name,))

    def left_behind(self) -> dict[str, DoubtedVersions]:
        """What the client may have and will not state on its next stream.

        That is what is in doubt; what has no answer yet; what the client waits for, which it must be told whatever it
        says; and all of its collections, of which no client says what it has.
        """
        left = dict(self._holdings.doubts)
        gone = (name for name in self._holdings.differs if self._interest.collects(name))
        for name in once((*self._interest.collected(), *gone)):
            left[name] = (*left.get(name, ()), version_of(self._holdings.has(name)))
        for name, content in (self.in_flight.contents if self.in_flight else {}).items():
            left[name] = (*left.get(name, ()), self._doubted(content))
        for name in sorted({*self._forced, *self._fallbacks}):
            left[name] = (None,)
        return left

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
        """When something must be renewed next; None where nothing is, or can be now."""
        return self._renewals.next if self.in_flight is None and not self._cache.held else None

    @property
    def size(self) -> int:
        """Names that this subscription holds memory for."""
        return len(self._interest.names) + len(self._holdings.differs)

    def next_response(self, now: float, *, removals: bool) -> tuple[bytes, Contents] | None:
        """The next response and what may be new to the client in it, when one is due and none is in flight.

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
                again = self._again(contents)
                return self._send(InFlight(self._journal.nonce(), contents, now, again, group))
        return None

    def renewal(self, now: float) -> tuple[bytes, Contents] | None:
        """A response that renews what is due by now; what the client has an older version of is not renewed."""
        if self.renews_at is None:
            return None
        due = self._renewals.due(now)
        contents = {name: self._cache.get(self.kind.type_url, name) for name in due}
        for name in due:
            if name in self._holdings.differs or contents[name] is None:
                self._renewals.forget(name)
                del contents[name]
        return self._send(InFlight(self._journal.nonce(), contents, now, renewal=True)) if contents else None

    def statuses(self) -> Iterator[ResourceStatus]:
        """How far the client is, per name."""
        sent = self.in_flight.contents if self.in_flight else {}
        for name in sorted({*self._interest.wanted(), *self._notable()}):
            yield self._status(name, sent)

    def counts(self) -> Counter[SyncState]:
        """How many names `statuses` has of each state that some are in; costs what is named or differs."""
        sent = self.in_flight.contents if self.in_flight else {}
        notable = self._notable()
        found = Counter(self._status(name, sent).state for name in notable)
        others = self._interest.count() - sum(map(self._interest.wants, notable))
        return found + Counter({SyncState.SYNCED: others})

    def _notable(self) -> set[str]:
        """Names that may be in another state than synced."""
        sent = self.in_flight.contents if self.in_flight else {}
        return {*self._holdings.differs, *self._holdings.doubts, *sent, *self.rejections}

    @abstractmethod
    def _batch(self, removals: bool) -> Contents | None:
        """What the next response holds; None when there is nothing to say."""

    @abstractmethod
    def _encode(self, sent: InFlight) -> bytes:
        """A response on the wire."""

    @property
    def _knows_ttl(self) -> bool:
        return self._journal.knows_ttl

    def _send(self, sent: InFlight) -> tuple[bytes, Contents]:
        self.in_flight = sent
        if self._knows_ttl:
            self._renewals.sent(sent.contents, sent.sent_at)
        return self._encode(sent), sent.contents | sent.again

    def _again(self, contents: Contents) -> Contents:
        """What a response with these contents says besides of names in doubt."""
        return {}

    def _accept(self, contents: Contents) -> None:
        """The client now has these; called for names that it still asks for."""
        for name, content in contents.items():
            self._holdings.doubts.pop(name, None)
            self._holdings.now_has(name, content)
            if name in self._holdings.differs:
                self._fresh[name] = None  # it went, or came, while nobody looked

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
            self._refuse(request.error_detail.message[:MAX_ERROR_CHARACTERS])

    def _acknowledge(self) -> None:
        sent, self.in_flight = self.in_flight, None
        if sent is None:
            return
        covers = self._interest.covers
        self._accept({name: content for name, content in sent.again.items() if covers(name)})
        contents = {name: content for name, content in sent.contents.items() if covers(name)}
        self._accept(contents)
        if self.rejections:
            for name in contents.keys() & self.rejections.keys() - self._holdings.differs.keys():
                del self.rejections[name]
        self._report(versions_of(contents))
        if sent.group is not None:
            self._convict(self._suspects.accepted(sent.group))

    def _refuse(self, message: str) -> None:
        sent, self.in_flight = self.in_flight, None
        if sent is None:
            return
        gone = [name for name in sent.contents if not self._interest.covers(name)]
        # Of a response that held nothing else, nothing was applied; but a wait that it ended leaves nothing at all.
        doubtful = len(sent.contents) > 1 or self.kind.repeated
        for name, content in sent.contents.items():
            if self._interest.covers(name):
                if doubtful:
                    self._holdings.doubt(name, self._doubted(content))
                self._fresh[name] = None  # what is no longer what was refused is not suspected for it
        suspected = {name: version_of(each) for name, each in sent.contents.items() if name not in self.rejections}
        if suspected:
            for name in sent.contents.keys() - suspected.keys():  # what it had before, refused for another's sake
                self._fall_back(name)
            self._convict(self._suspects.refused(suspected, sent.group, message, gone))

    def _doubted(self, content: Content | None) -> str | None:
        """What was sent and not accepted, as a version in doubt.

        Where it may have ended a wait the client may have lost what it states, so what it states does not count.
        """
        return None if self.kind.repeated else version_of(content)

    def _convict(self, rejections: Mapping[str, Rejection]) -> None:
        self.rejections.update(rejections)
        for name, rejection in rejections.items():
            self._journal.rejected.append((self.kind.type_url, name, rejection.message))
            if self.kind.repeated:
                self._fall_back(name)

    def _fall_back(self, name: str) -> bool:
        """Send again what the client had before it refused this; False: that is not known.

        Envoy lets go of it when a refusal ends the wait of what points at it: a cluster would be without endpoints.
        """
        known = isinstance(self._holdings.has(name), Resource)
        if known:
            self._fallbacks[name] = None
            self._fresh[name] = None
        return known

    # What the client asks for

    def _subscribe(self, name: str, *, force: bool) -> None:
        """Take up a name; `force`: answer whatever the client has already."""
        self.turns += 1
        known = self._interest.covers(name)
        meaning = self._interest.add(name)
        for each in meaning:
            if not known:
                self._holdings.lacks(each)
            self._fresh[each] = None
        if force:
            self._forced.update(meaning)

    def _unsubscribe(self, name: str) -> tuple[str, ...]:
        self.turns += 1
        meaning = self._interest.drop(name)
        if is_collection(name):
            meaning = (*meaning, *(each for each in self._holdings.differs if collection_of(each) == name))
        self._forget(each for each in meaning if not self._interest.covers(each))
        return meaning

    def _subscribe_all(self) -> None:
        """Everything is wanted, of which the client has what it had by name."""
        self.turns += 1
        if not self._interest.wildcard:
            for name in self._cache.resources(self.kind.type_url):
                if not self._interest.covers(name):
                    self._holdings.lacks(name)
            self._interest.add_all()
        self._fresh.update(dict.fromkeys(self._holdings.differs))

    def _unsubscribe_all(self) -> None:
        known = {*self._interest.wanted(), *self._holdings.differs, *self._updates, *self._removals, *self.rejections}
        self._interest.drop_all()
        self._forget(sorted(name for name in known if not self._interest.covers(name)))

    def _renew_again(self) -> None:
        """What lives for a time only is sent on every stream, whatever the client says: it may have ended since."""
        if self._knows_ttl:
            resources = self._cache.resources(self.kind.type_url).values()
            mortal = [each.name for each in resources if each.ttl is not None]
            self._force(name for name in mortal if self._interest.covers(name))

    def _doubt_again(self) -> None:
        """What the client may have from streams before is looked at, once it is known what it asks for."""
        covered = [name for name in self._holdings.doubts if self._interest.covers(name)]
        self._fresh.update(self._holdings.keep_doubts(covered))

    def _forget(self, names: Iterable[str]) -> None:
        """The client neither has these any more nor wants them."""
        lost: dict[str, str | None] = {}
        for name in names:
            if self._holdings.has(name) is not None:
                lost[name] = None
            self._holdings.forget(name)
            self._renewals.forget(name)
            self._suspects.drop(name)
            self._forced.discard(name)
            for part in (self._fresh, self._fallbacks, self._updates, self._removals):
                part.pop(name, None)
            self.rejections.pop(name, None)
        self._report(lost)

    def _force(self, names: Iterable[str]) -> None:
        """Answer for these names whatever the client has already."""
        for name in names:
            self._fresh[name] = None
            self._forced.add(name)

    # What is due

    def _taken(self, names: Iterable[str]) -> None:
        """These updates are sent. What is empty then gives its memory back, which Python's dicts do only if told."""
        for name in names:
            del self._updates[name]
        self._forced.difference_update(names)
        if not self._updates:
            self._updates.clear()
        if not self._forced:
            self._forced.clear()

    def _current(self, names: Iterable[str]) -> Contents:
        return {name: self._content(name) for name in names}

    def _content(self, name: str) -> Content | None:
        """What is to be sent under a name."""
        if name in self._fallbacks:
            del self._fallbacks[name]
            has = self._holdings.has(name)
            if isinstance(has, Resource):
                return has
        return self._cache.get(self.kind.type_url, name)

    def _look(self) -> None:
        """Compare every fresh name with what the client has, and file it under what is to be done."""
        fresh, self._fresh = self._fresh, {}
        settled: dict[str, str | None] = {}
        none_refused = not (self.rejections or self._suspects or self._fallbacks)
        for name in fresh:
            if not self._interest.covers(name) or self._interest.is_filled(name):
                continue
            current = self._cache.get(self.kind.type_url, name)
            version = version_of(current)
            self._updates.pop(name, None)
            self._removals.pop(name, None)
            if not none_refused and self._held_back(name, version):
                if name in self._fallbacks:
                    self._updates[name] = None
                continue
            if name in self._fallbacks:  # nothing refused is in its place any more, and the client still waits
                del self._fallbacks[name]
                self._forced.add(name)
            if name in self._forced:
                self._updates[name] = None
            elif self._holdings.lags(name, current):
                (self._updates if current else self._removals)[name] = None
            else:
                self._holdings.differs.pop(name, None)
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
        return status_of(
            self.kind.type_url,
            name,
            current=self._cache.get(self.kind.type_url, name),
            has=self._holdings.has(name),
            sent=sent,
            rejection=self.rejections.get(name),
            doubtful=name in self._holdings.doubts,
        )
