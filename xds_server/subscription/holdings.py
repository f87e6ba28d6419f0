"""What a client has of one resource type, kept as its difference from the cache.

A client that is up to date differs in nothing, so it costs nothing per resource, however many there are.

What was in a response that was refused, or that had no answer when its stream ended, is *doubtful*: clients apply the
good part of it without saying so. When such a resource vanishes, or becomes again what the client had before, that has
to be sent although nothing else was acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from xds_server.cache import Names, ResourceCache
from xds_server.resources import Content
from xds_server.subscription.exchange import Claimed, DoubtedVersions, Has
from xds_server.subscription.faults import check_name

MAX_DOUBTED_VERSIONS = 8
"""Refused versions of a name that are told apart; a client that refuses more keeps its doubt until it accepts one."""


class Holdings:
    """Names are those that the client asks for; of others nothing is known.

    differs: what the client has where that is not what the cache holds.
    doubts: versions that it may have all the same, by name.
    """

    __slots__ = ("_cache", "_type_url", "differs", "doubts")

    def __init__(self, type_url: str, cache: ResourceCache, doubts: Mapping[str, DoubtedVersions]) -> None:
        self.differs: dict[str, Has] = {}
        self.doubts = dict(doubts)
        self._type_url = type_url
        self._cache = cache

    def has(self, name: str) -> Has:
        """What the client has under a name."""
        if name in self.differs:
            return self.differs[name]
        return self._cache.get(self._type_url, name)

    def now_has(self, name: str, has: Has) -> None:
        """The client has this under a name."""
        if _equal(has, self._cache.get(self._type_url, name)):
            self.differs.pop(name, None)
            if not self.differs:
                self.differs.clear()  # which gives its memory back: a dict does that only if told
        else:
            self.differs[name] = has

    def claims(self, name: str, version: str) -> None:
        """The client says that it accepted this on an earlier stream."""
        check_name(name)
        check_name(version)
        self.now_has(name, Claimed(version))
        self.doubt_no_more(name, version)

    def lacks(self, name: str) -> None:
        """The client has nothing under a name that it asks for from now on, unless it has said otherwise."""
        if self._cache.get(self._type_url, name) is not None:
            self.differs.setdefault(name, None)

    def lags(self, name: str, current: Content | None) -> bool:
        """Must the client be told that a name holds this?"""
        return name in self.doubts or not _equal(self.has(name), current)

    def forget(self, name: str) -> None:
        """The client does not ask for a name any more."""
        self.differs.pop(name, None)
        self.doubts.pop(name, None)

    def doubt(self, name: str, version: str | None) -> None:
        """The client refused a response that held this."""
        doubted = self.doubts.get(name, ())
        if len(doubted) >= MAX_DOUBTED_VERSIONS:
            version = None
        if version not in doubted:
            self.doubts[name] = (*doubted, version)

    def doubt_no_more(self, name: str, version: str | None) -> None:
        """Of this version it is known whether the client has it."""
        left = tuple(each for each in self.doubts.pop(name, ()) if each is None or each != version)
        if left:
            self.doubts[name] = left

    def keep_doubts(self, names: Iterable[str]) -> Names:
        """Keep the doubts of these names only; gives them."""
        self.doubts = {name: self.doubts[name] for name in names}
        return dict.fromkeys(self.doubts)


def _equal(has: Has, current: Content | None) -> bool:
    """Versions are those of one resource; an alias may lead to another one of the same version."""
    if has is None or current is None:
        return has is current
    return has.version == current.version and (isinstance(has, Claimed) or has.name == current.name)
