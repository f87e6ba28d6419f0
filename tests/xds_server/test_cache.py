"""The cache: what is a change, and who hears of it."""

from __future__ import annotations

from xds_server.cache import ResourceCache
from xds_server.resources import CLUSTER, Resource


class Notes:
    def __init__(self) -> None:
        self.heard: list[list[str]] = []

    def changed(self, names: dict[str, None]) -> None:
        self.heard.append(list(names))


def cluster(name: str, content: int = 0) -> Resource:
    return Resource(CLUSTER.type_url, name, str(content), b"")


def test_the_cache_tells_of_real_changes_once_per_update() -> None:
    cache, everything, one = ResourceCache(), Notes(), Notes()
    cache.watch_all(CLUSTER.type_url, everything)
    cache.watch(CLUSTER.type_url, "b", one)
    cache.update(upsert=[cluster("a"), cluster("b")])
    cache.update(upsert=[cluster("a"), cluster("b", 1)], remove=[(CLUSTER.type_url, "none")])
    cache.update(upsert=[cluster("a")])
    cache.update(remove=[(CLUSTER.type_url, "a")])
    assert everything.heard == [["a", "b"], ["b"], ["a"]]
    assert one.heard == [["b"], ["b"]]
    assert cache.revision == 3


def test_the_cache_forgets_who_stopped_watching() -> None:
    cache, notes = ResourceCache(), Notes()
    cache.watch_all(CLUSTER.type_url, notes)
    cache.watch(CLUSTER.type_url, "a", notes)
    cache.unwatch(CLUSTER.type_url, "a", notes)
    cache.unwatch(CLUSTER.type_url, "never", notes)
    cache.unwatch_all(CLUSTER.type_url, notes)
    cache.update(upsert=[cluster("a")])
    assert notes.heard == []
    assert cache.get(CLUSTER.type_url, "a") == cluster("a")
    assert dict(cache.resources(CLUSTER.type_url)) == {"a": cluster("a")}


def test_a_held_cache_is_released_once() -> None:
    cache, wakes = ResourceCache(held=True), []
    cache.on_release(lambda: wakes.append(1))
    assert cache.held
    cache.release()
    cache.release()
    assert not cache.held
    assert wakes == [1]
