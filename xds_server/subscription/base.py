"""One resource type on one stream: what the client asked for, what it has, and what is due.

The same for both protocols; `delta.py` and `sotw.py` add how requests are read and responses written. The idea:

- A change only marks a name as *fresh*. When the next response may be sent, each fresh name's current content is
  compared with what the client has. So bursts coalesce, only the latest state is ever kept, and what a slow client
  costs is bounded by the names that it asked for.
- One response is in flight at a time; the next is made from the state at the time of its ACK or NACK.
- A NACK is taken apart by `suspects.py`; refused content is held back until it changes or is asked for again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from xds_server.cache import Names, ResourceCache
from xds_server.resources import Resource, ResourceType
from xds_server.subscription.proxy import ResourceStatus, SyncState
from xds_server.subscription.suspects import Group, Rejection, Suspects

WILDCARD = "*"

Contents = dict[str, Resource | None]
"""Names of a response and what they hold in it; None: removed."""


@dataclass(slots=True)
class Journal:
    """What the subscriptions of a stream share: its wake-up, its nonces, and what there is to tell the observer."""

    wake: Callable[[], None]
    nonce_prefix: str
    acknowledged: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    rejected: list[tuple[str, str, str]] = field(default_factory=list)
    _nonces: int = 0

    def nonce(self) -> str:
        """A nonce that no other stream of this process uses."""
        self._nonces += 1
        return f"{self.nonce_prefix}.{self._nonces}"


@dataclass(frozen=True, slots=True)
class InFlight:
    """A response without an answer yet."""

    nonce: str
    contents: Contents
    group: Group | None


class Subscription(ABC):
    """See the module. Implements `cache.Watcher`."""

    def __init__(self, kind: ResourceType, cache: ResourceCache, journal: Journal) -> None:
        self.kind = kind
        self.names: Names = {}
        self.wildcard = False
        self.versions: dict[str, str] = {}
        self.rejections: dict[str, Rejection] = {}
        self.in_flight: InFlight | None = None
        self._cache = cache
        self._journal = journal
        self._suspects = Suspects()
        self._fresh: Names = {}
        self._forced: set[str] = set()
        self._updates: Names = {}
        self._removals: Names = {}
        self._owes_answer = False

    # What changes from outside

    def changed(self, names: Names) -> None:
        """The cache holds something else under these names."""
        self._fresh.update(names)
        self._journal.wake()

    def warm(self, names: Iterable[str]) -> None:
        """The client waits for these, so it is answered even where nothing changed (unless it refused just that)."""
        asked = [name for name in names if self._covers(name) and name not in self.rejections]
        self._force(asked)

    def close(self) -> None:
        """Ask the cache for nothing any more."""
        self._cache.unwatch_all(self.kind.type_url, self)
        for name in self.names:
            self._cache.unwatch(self.kind.type_url, name, self)

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
    def _nothing_due(self) -> bool:
        """The usual case: a stream has many types, and a change concerns one."""
        return not (self._fresh or self._updates or self._removals or self._suspects or self._owes_answer)

    @property
    def size(self) -> int:
        """Names that this subscription holds memory for."""
        return len(self.names) + len(self.versions)

    def next_response(self, *, removals: bool) -> tuple[bytes, Contents] | None:
        """The next response and what is in it, when one is due and none is in flight.

        removals: whether it is time for removals; answers to what the client asked for are always in time.
        """
        if self.in_flight is not None or self._nothing_due:
            return None
        self._look()
        if self._cache.held:
            return None
        group = self._suspects.take()
        contents = self._current(group.names) if group else self._batch(removals)
        if contents is None:
            return None
        self._owes_answer = False
        self.in_flight = InFlight(self._journal.nonce(), contents, group)
        return self._encode(self.in_flight.nonce, contents), contents

    def statuses(self) -> Iterator[ResourceStatus]:
        """How far the client is, per name."""
        cached = self._cache.resources(self.kind.type_url)
        sent = self.in_flight.contents if self.in_flight else {}
        for name in sorted({*self.versions, *sent, *self.names, *(cached if self.wildcard else ())}):
            yield self._status(name, sent)

    @abstractmethod
    def _batch(self, removals: bool) -> Contents | None:
        """What the next response holds; None when there is nothing to say."""

    @abstractmethod
    def _encode(self, nonce: str, contents: Contents) -> bytes:
        """A response on the wire."""

    def _accept(self, contents: Contents) -> None:
        """The client now has these; called for names that it still asks for."""
        for name, resource in contents.items():
            if resource is None:
                self.versions.pop(name, None)
            else:
                self.versions[name] = resource.version

    # What the client says

    def _acknowledge(self) -> None:
        sent, self.in_flight = self.in_flight, None
        if sent is None:
            return
        contents = {name: resource for name, resource in sent.contents.items() if self._covers(name)}
        for name in contents:
            self.rejections.pop(name, None)
        self._accept(contents)
        self._report(_versions(contents))
        if sent.group is not None:
            self._convict(self._suspects.accepted(sent.group))

    def _refuse(self, message: str) -> None:
        sent, self.in_flight = self.in_flight, None
        if sent is not None:
            gone = [name for name in sent.contents if not self._covers(name)]
            self._convict(self._suspects.refused(_versions(sent.contents), sent.group, message, gone))

    def _convict(self, rejections: Mapping[str, Rejection]) -> None:
        self.rejections.update(rejections)
        for name, rejection in rejections.items():
            self._journal.rejected.append((self.kind.type_url, name, rejection.message))

    # What the client asks for

    def _covers(self, name: str) -> bool:
        return self.wildcard or name in self.names

    def _subscribe(self, name: str) -> None:
        self.names[name] = None
        self._cache.watch(self.kind.type_url, name, self)

    def _unsubscribe(self, name: str) -> None:
        del self.names[name]
        self._cache.unwatch(self.kind.type_url, name, self)
        if not self.wildcard:
            self._forget((name,))

    def _subscribe_all(self) -> None:
        self.wildcard = True
        self._cache.watch_all(self.kind.type_url, self)
        self._fresh.update(dict.fromkeys(self._cache.resources(self.kind.type_url)))
        self._fresh.update(dict.fromkeys(self.versions))

    def _unsubscribe_all(self) -> None:
        self.wildcard = False
        self._cache.unwatch_all(self.kind.type_url, self)
        held = (self.versions, self.rejections, self._updates, self._removals, self._forced)
        self._forget([name for name in {n: None for part in held for n in part} if name not in self.names])

    def _forget(self, names: Iterable[str]) -> None:
        """The client neither has these any more nor wants them."""
        lost: dict[str, str | None] = {}
        for name in names:
            if self.versions.pop(name, None) is not None:
                lost[name] = None
            self.rejections.pop(name, None)
            self._updates.pop(name, None)
            self._removals.pop(name, None)
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
        return {name: self._cache.get(self.kind.type_url, name) for name in names}

    def _look(self) -> None:
        """Compare every fresh name with what the client has, and file it under what is to be done."""
        fresh, self._fresh = self._fresh, {}
        settled: dict[str, str | None] = {}
        for name in fresh:
            if not self._covers(name):
                continue
            current = self._cache.get(self.kind.type_url, name)
            version = current.version if current else None
            self._updates.pop(name, None)
            self._removals.pop(name, None)
            if self._held_back(name, version):
                continue
            if name not in self._forced and self.versions.get(name) == version:
                settled[name] = version
            elif current is None and name not in self._forced:
                self._removals[name] = None
            else:
                self._updates[name] = None
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

    def _report(self, versions: dict[str, str | None]) -> None:
        if versions:
            self._journal.acknowledged.append((self.kind.type_url, versions))

    def _status(self, name: str, sent: Mapping[str, Resource | None]) -> ResourceStatus:
        wanted = self._cache.get(self.kind.type_url, name)
        version = wanted.version if wanted else None
        acknowledged = self.versions.get(name)
        in_flight = sent.get(name)
        last = in_flight.version if in_flight else acknowledged
        error = None
        if name in self.rejections:
            rejection = self.rejections[name]
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


def _versions(contents: Contents) -> dict[str, str | None]:
    return {name: resource.version if resource else None for name, resource in contents.items()}
