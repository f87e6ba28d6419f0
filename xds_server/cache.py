"""What one scope of proxies should have, and who must hear of a change.

The cache knows no streams: a watcher asks for names, for a collection or for a whole type, and is told which names
changed and what they held before. A change costs the changed names times those who asked for them, whatever else the
cache holds and however many watch other names. Versions decide what is a change: an equal resource put again is none.

A change that would leave a resource pointing at what is not there is refused as a whole, so no proxy ever warms for
something that does not come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

from xds_server.names import canonical, collection_of
from xds_server.references import Reference
from xds_server.resource_types import resource_type
from xds_server.resources import Content, Failure, Resource

_NONE: Mapping[str, Content] = MappingProxyType({})
_NO_POINTERS: Counter[str] = Counter()
_SHOWN_DANGLING = 5
"""Dangling references that an error names; the others are counted."""

Names = dict[str, None]
"""A set of names that keeps its order, so that responses do not depend on string hashing."""
Changes = Mapping[str, Content | None]
"""Changed names, and what was there before; None: nothing was."""


class DanglingReferences(Exception):  # noqa: N818 - named for what it tells
    """An update would leave resources that point at what is not there; nothing of it was done."""

    def __init__(self, missing: list[Reference]) -> None:
        shown = ", ".join(
            f"{resource_type(type_url).short_name} {name!r}" for type_url, name in missing[:_SHOWN_DANGLING]
        )
        more = f" and {len(missing) - _SHOWN_DANGLING} more" if len(missing) > _SHOWN_DANGLING else ""
        super().__init__(
            f"resources would point at what is not there: {shown}{more}; put both in one update, or take away what"
            " points there with it"
        )
        self.missing = missing


class Watcher(Protocol):
    """Hears of changes; called while the cache is updated, so it only takes note."""

    def changed(self, changes: Changes) -> None:
        """These names of the watched type have another version, appeared or vanished."""


class ResourceCache:
    """Resources by type and name.

    While `held` the cache's owner does not know yet what is true (it has just restarted); watchers answer nothing,
    so proxies keep what they have. `release()` ends that for good.
    """

    def __init__(self, *, held: bool = False) -> None:
        self._held = held
        self._revision = 0
        self._contents: dict[str, dict[str, Content]] = {}
        self._versions: dict[str, dict[str, str]] = {}
        self._sums: dict[str, int] = {}
        self._aliases: dict[tuple[str, str], str] = {}
        self._members: dict[tuple[str, str], Names] = {}
        self._pointed_at: dict[str, Counter[str]] = {}
        self._by_name: dict[tuple[str, str], dict[Watcher, None]] = {}
        self._by_type: dict[str, dict[Watcher, None]] = {}
        self._on_release: set[Callable[[], None]] = set()

    @property
    def held(self) -> bool:
        """True while nothing may be answered from this cache."""
        return self._held

    @property
    def revision(self) -> int:
        """How many updates changed something; for people."""
        return self._revision

    def get(self, type_url: str, name: str) -> Content | None:
        """What proxies should have under a name or an alias."""
        contents = self._contents.get(type_url, _NONE)
        found = contents.get(name)
        if found is None and self._aliases:
            aliased = self._aliases.get((type_url, name))
            return contents.get(aliased) if aliased is not None else None
        return found

    def resources(self, type_url: str) -> Mapping[str, Content]:
        """All that there is of a type by name; a read-only view, of which no later moment than this is promised."""
        return MappingProxyType(self._contents.get(type_url, _NONE))

    def versions(self, type_url: str) -> Mapping[str, str]:
        """The versions of a type by name, as of now."""
        return self._versions.get(type_url, {})

    def members(self, type_url: str, collection: str) -> Iterable[str]:
        """The names of the resources of a collection."""
        return self._members.get((type_url, collection), {})

    def pointed_at(self, type_url: str) -> Iterable[str]:
        """The names of a type that resources point at."""
        return tuple(self._pointed_at.get(type_url, ()))

    def fingerprint(self, type_url: str) -> int:
        """The sum of the fingerprints of a type: equal content, equal sum. Costs a walk the first time only."""
        if type_url not in self._contents:
            return 0
        if type_url not in self._sums:
            self._sums[type_url] = sum(each.fingerprint for each in self.resources(type_url).values())
        return self._sums[type_url]

    def update(self, *, upsert: Iterable[Content] = (), remove: Iterable[tuple[str, str]] = ()) -> None:
        """Put resources and remove others, by (type URL, name), as one change.

        Raises DanglingReferences, and changes nothing, when something would point at what is not there.
        """
        wanted: dict[Reference, Content | None] = {}
        for each in upsert:
            if not isinstance(each, Resource | Failure):
                raise TypeError(f"{type(each).__name__} is no Resource: put Resource.of(message)")
            wanted[each.type_url, each.name] = each
        wanted.update(((type_url, canonical(name)), None) for type_url, name in remove)
        changes: dict[str, dict[str, Content | None]] = {}
        for (type_url, name), content in wanted.items():
            known = self._contents.get(type_url, _NONE).get(name)
            if (known.version if known else None) != (content.version if content else None):
                changes.setdefault(type_url, {})[name] = known
        if changes:
            self._check_references(changes, wanted)
            aliases: dict[str, dict[str, Content | None]] = {type_url: {} for type_url in changes}
            for type_url, changed in changes.items():
                for name, before in changed.items():
                    content = wanted[type_url, name]
                    self._store(type_url, name, before, content)
                    led_to = self._store_aliases(type_url, name, before, content)
                    aliases[type_url] = {**led_to, **aliases[type_url]}  # what came first led there before the update
            self._revision += 1
            self._notify(changes, aliases)

    def release(self) -> None:
        """What the cache holds is true from now on: answer what is due."""
        if self._held:
            self._held = False
            for wake in tuple(self._on_release):
                wake()

    def watch(self, type_url: str, name: str, watcher: Watcher) -> None:
        """Tell `watcher` when this name changes, whether it exists yet or not; of a collection: when a member does."""
        self._by_name.setdefault((type_url, name), {})[watcher] = None

    def unwatch(self, type_url: str, name: str, watcher: Watcher) -> None:
        """Stop telling `watcher` of this name."""
        watchers = self._by_name.get((type_url, name))
        if watchers is not None:
            watchers.pop(watcher, None)
            if not watchers:
                del self._by_name[type_url, name]

    def watch_all(self, type_url: str, watcher: Watcher) -> None:
        """Tell `watcher` of every change of a type."""
        self._by_type.setdefault(type_url, {})[watcher] = None

    def unwatch_all(self, type_url: str, watcher: Watcher) -> None:
        """Stop telling `watcher` of every change of a type; names that it watches by name stay watched."""
        watchers = self._by_type.get(type_url)
        if watchers is not None:
            watchers.pop(watcher, None)
            if not watchers:
                del self._by_type[type_url]

    def on_release(self, wake: Callable[[], None]) -> None:
        """Call `wake` when the cache is released."""
        self._on_release.add(wake)

    def forget_release(self, wake: Callable[[], None]) -> None:
        """Undo `on_release`."""
        self._on_release.discard(wake)

    def _check_references(self, changes: Mapping[str, Changes], wanted: Mapping[Reference, Content | None]) -> None:
        pointed_at: Counter[Reference] = Counter()
        for type_url, changed in changes.items():
            for name, before in changed.items():
                content = wanted[type_url, name]
                pointed_at.update(content.references if content else ())
                pointed_at.subtract(before.references if before else ())
                pointed_at[type_url, name] += 0  # what goes may be pointed at
        missing = [reference for reference, count in pointed_at.items() if self._dangles(reference, count, wanted)]
        if missing:
            raise DanglingReferences(missing)
        for (type_url, name), count in pointed_at.items():
            if count:
                of_type = self._pointed_at.setdefault(type_url, Counter())
                of_type[name] += count
                if not of_type[name]:
                    del of_type[name]

    def _dangles(self, reference: Reference, added: int, wanted: Mapping[Reference, Content | None]) -> bool:
        """Would something point at this, once as many pointers are `added`, while it is not there?"""
        type_url, name = reference
        if self._pointed_at.get(type_url, _NO_POINTERS)[name] + added <= 0 or resource_type(type_url).by_alias:
            return False
        return (wanted[reference] if reference in wanted else self.get(type_url, name)) is None

    def _store(self, type_url: str, name: str, before: Content | None, content: Content | None) -> None:
        if type_url in self._sums:
            self._sums[type_url] += (content.fingerprint if content else 0) - (before.fingerprint if before else 0)
        contents, versions = self._contents.setdefault(type_url, {}), self._versions.setdefault(type_url, {})
        if content is None:
            del contents[name], versions[name]
        else:
            contents[name], versions[name] = content, content.version
        self._count_member(type_url, name, present=content is not None)

    def _store_aliases(self, type_url: str, name: str, before: Content | None, content: Content | None) -> Changes:
        """Keep the aliases of one resource; gives those that it has or had, with what they led to before."""
        changed: dict[str, Content | None] = {}
        for alias in before.aliases if before else ():
            changed[alias] = before
            if self._aliases.get((type_url, alias)) == name:
                del self._aliases[type_url, alias]
        for alias in content.aliases if content else ():
            changed.setdefault(alias, self.get(type_url, alias))
            self._aliases[type_url, alias] = name
        return changed

    def _count_member(self, type_url: str, name: str, *, present: bool) -> None:
        collection = collection_of(name)
        if collection is None:
            return
        members = self._members.setdefault((type_url, collection), {})
        if present:
            members[name] = None
        else:
            members.pop(name, None)
            if not members:
                del self._members[type_url, collection]

    def _notify(self, changes: Mapping[str, Changes], aliases: Mapping[str, Changes]) -> None:
        for type_url, changed in changes.items():
            for watcher in self._by_type.get(type_url, ()):
                watcher.changed(changed)
            for name, before in changed.items():
                self._tell(type_url, name, name, before)
                collection = collection_of(name)
                if collection is not None:
                    self._tell(type_url, collection, name, before)
            for alias, before in aliases[type_url].items():
                self._tell(type_url, alias, alias, before)

    def _tell(self, type_url: str, watched: str, name: str, before: Content | None) -> None:
        for watcher in self._by_name.get((type_url, watched), ()):
            watcher.changed({name: before})
