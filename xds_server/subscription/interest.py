"""What a client asked for, of one resource type: names, collections, everything.

It watches the cache for just that, and says of any name whether the client wants it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from xds_server.cache import Names, ResourceCache, Watcher
from xds_server.names import collection_of, is_collection


class Interest:
    """Names (collections among them) and the wildcard. Names are in canonical form."""

    def __init__(self, type_url: str, cache: ResourceCache, watcher: Watcher) -> None:
        self.names: Names = {}
        self.wildcard = False
        self._collections: set[str] = set()
        self._type_url = type_url
        self._cache = cache
        self._watcher = watcher

    def covers(self, name: str) -> bool:
        """Does the client want what has this name?"""
        return self.wildcard or name in self.names or self.collects(name)

    def add(self, name: str) -> tuple[str, ...]:
        """Ask for a name; gives what it stands for: itself, or a collection's members."""
        self.names[name] = None
        self._cache.watch(self._type_url, name, self._watcher)
        if is_collection(name):
            self._collections.add(name)
        return self.meaning_of(name)

    def drop(self, name: str) -> tuple[str, ...]:
        """Let a name go; gives what it stood for."""
        meaning = self.meaning_of(name)
        del self.names[name]
        self._collections.discard(name)
        self._cache.unwatch(self._type_url, name, self._watcher)
        return meaning

    def add_all(self) -> None:
        """Ask for everything."""
        self.wildcard = True
        self._cache.watch_all(self._type_url, self._watcher)

    def drop_all(self) -> None:
        """Ask for what is named only."""
        self.wildcard = False
        self._cache.unwatch_all(self._type_url, self._watcher)

    def close(self) -> None:
        """Ask for nothing any more."""
        self._cache.unwatch_all(self._type_url, self._watcher)
        for name in self.names:
            self._cache.unwatch(self._type_url, name, self._watcher)

    def collects(self, name: str) -> bool:
        """Is this a member, past or present, of a collection that the client asks for?"""
        return bool(self._collections) and collection_of(name) in self._collections

    def collected(self) -> Iterator[str]:
        """The members of the collections."""
        for collection in sorted(self._collections):
            yield from self._cache.members(self._type_url, collection)

    def is_filled(self, name: str) -> bool:
        """Is this a collection that has members, which speak for it?"""
        return name in self._collections and bool(self._cache.members(self._type_url, name))

    def wanted(self) -> Iterator[str]:
        """Everything that the client should have or has named; a name may come twice."""
        if self.wildcard:
            yield from self._cache.resources(self._type_url)
        yield from (name for name in self.names if name not in self._collections)
        yield from self.collected()

    def count(self) -> int:
        """How many different names `wanted` gives, at the cost of the named ones: of everything, only the number."""
        named = (name for name in self.names if name not in self._collections)
        if self.wildcard:
            everything = self._cache.resources(self._type_url)
            return len(everything) + sum(name not in everything for name in named)
        return sum(1 for _ in named) + sum(name not in self.names for name in self.collected())

    def wants(self, name: str) -> bool:
        """Does `wanted` give this name?"""
        if name in self.names:
            return name not in self._collections
        return self.covers(name) and name in self._cache.resources(self._type_url)

    def meaning_of(self, name: str) -> tuple[str, ...]:
        """The names that a name stands for. An empty collection stands for itself: that is what can be told of it."""
        if not is_collection(name):
            return (name,)
        return tuple(self._cache.members(self._type_url, name)) or (name,)


def once(names: Iterable[str]) -> Names:
    """Names, each once, in their order."""
    return dict.fromkeys(names)
