"""What one scope of proxies should have, and who must hear of a change.

The cache knows no streams: a watcher asks for names or for a whole type and is told which of them changed. A change
costs the changed names times those who asked for them, whatever else the cache holds and however many watch other
names. Versions decide what is a change: an equal resource put again is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

from xds_server.resources import Resource

_NONE: Mapping[str, Resource] = MappingProxyType({})

Names = dict[str, None]
"""A set of names that keeps its order, so that responses do not depend on string hashing."""


class Watcher(Protocol):
    """Hears of changes; called while the cache is updated, so it only takes note."""

    def changed(self, names: Names) -> None:
        """These names of the watched type have another version, appeared or vanished."""


class ResourceCache:
    """Resources by type and name.

    While `held` the cache's owner does not know yet what is true (it has just restarted); watchers answer nothing,
    so proxies keep what they have. `release()` ends that for good.
    """

    def __init__(self, *, held: bool = False) -> None:
        self._held = held
        self._revision = 0
        self._resources: dict[str, dict[str, Resource]] = {}
        self._by_name: dict[tuple[str, str], set[Watcher]] = {}
        self._by_type: dict[str, set[Watcher]] = {}
        self._on_release: set[Callable[[], None]] = set()

    @property
    def held(self) -> bool:
        """True while nothing may be answered from this cache."""
        return self._held

    @property
    def revision(self) -> int:
        """How many updates changed something; for people."""
        return self._revision

    def get(self, type_url: str, name: str) -> Resource | None:
        """The resource that proxies should have under a name."""
        return self._resources.get(type_url, _NONE).get(name)

    def resources(self, type_url: str) -> Mapping[str, Resource]:
        """All resources of a type by name; a live, read-only view."""
        return MappingProxyType(self._resources.setdefault(type_url, {}))

    def update(self, *, upsert: Iterable[Resource] = (), remove: Iterable[tuple[str, str]] = ()) -> None:
        """Put resources and remove others, by (type URL, name), as one change."""
        changed: dict[str, Names] = {}
        for resource in upsert:
            held = self._resources.setdefault(resource.type_url, {})
            known = held.get(resource.name)
            if known is None or known.version != resource.version:
                held[resource.name] = resource
                changed.setdefault(resource.type_url, {})[resource.name] = None
        for type_url, name in remove:
            if self._resources.get(type_url, {}).pop(name, None) is not None:
                changed.setdefault(type_url, {})[name] = None
        if changed:
            self._revision += 1
            self._notify(changed)

    def release(self) -> None:
        """What the cache holds is true from now on: answer what is due."""
        if self._held:
            self._held = False
            for wake in tuple(self._on_release):
                wake()

    def watch(self, type_url: str, name: str, watcher: Watcher) -> None:
        """Tell `watcher` when this name changes, whether it exists yet or not."""
        self._by_name.setdefault((type_url, name), set()).add(watcher)

    def unwatch(self, type_url: str, name: str, watcher: Watcher) -> None:
        """Stop telling `watcher` of this name."""
        watchers = self._by_name.get((type_url, name))
        if watchers is not None:
            watchers.discard(watcher)
            if not watchers:
                del self._by_name[type_url, name]

    def watch_all(self, type_url: str, watcher: Watcher) -> None:
        """Tell `watcher` of every change of a type."""
        self._by_type.setdefault(type_url, set()).add(watcher)

    def unwatch_all(self, type_url: str, watcher: Watcher) -> None:
        """Stop telling `watcher` of every change of a type; names that it watches by name stay watched."""
        self._by_type.get(type_url, set()).discard(watcher)

    def on_release(self, wake: Callable[[], None]) -> None:
        """Call `wake` when the cache is released."""
        self._on_release.add(wake)

    def forget_release(self, wake: Callable[[], None]) -> None:
        """Undo `on_release`."""
        self._on_release.discard(wake)

    def _notify(self, changed: dict[str, Names]) -> None:
        for type_url, names in changed.items():
            for watcher in self._by_type.get(type_url, ()):
                watcher.changed(names)
            for name in names:
                for watcher in self._by_name.get((type_url, name), ()):
                    watcher.changed({name: None})
