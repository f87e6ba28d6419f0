"""The cache: what is a change, who hears of it, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xds_server.cache import DanglingReferences, ResourceCache
from xds_server.resource_types import CLUSTER, ENDPOINT, VIRTUAL_HOST
from xds_server.resources import Content, Resource


class Notes:
    """What a watcher heard: names, and the versions that they had."""

    def __init__(self) -> None:
        self.heard: list[dict[str, str | None]] = []

    def changed(self, changes: Mapping[str, Content | None]) -> None:
        self.heard.append({name: before.version if before else None for name, before in changes.items()})


def cluster(name: str, content: int = 0, *, eds: bool = False) -> Resource:
    references = ((ENDPOINT.type_url, name),) if eds else ()
    return Resource(CLUSTER.type_url, name, str(content), b"", references=references)


def assignment(name: str, content: int = 0) -> Resource:
    return Resource(ENDPOINT.type_url, name, str(content), b"")


def host(name: str, *aliases: str, content: int = 0) -> Resource:
    return Resource(VIRTUAL_HOST.type_url, name, str(content), b"", aliases=aliases)


def test_the_cache_tells_of_real_changes_once_per_update() -> None:
    cache, everything, one = ResourceCache(), Notes(), Notes()
    cache.watch_all(CLUSTER.type_url, everything)
    cache.watch(CLUSTER.type_url, "b", one)
    cache.update(upsert=[cluster("a"), cluster("b")])
    cache.update(upsert=[cluster("a"), cluster("b", 1)], remove=[(CLUSTER.type_url, "none")])
    cache.update(upsert=[cluster("a")])
    cache.update(remove=[(CLUSTER.type_url, "a")])
    assert everything.heard == [{"a": None, "b": None}, {"b": "0"}, {"a": "0"}]
    assert one.heard == [{"b": None}, {"b": "0"}]
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
    assert dict(cache.versions(CLUSTER.type_url)) == {"a": "0"}


def test_a_held_cache_is_released_once() -> None:
    cache, wakes = ResourceCache(held=True), []
    cache.on_release(lambda: wakes.append(1))
    assert cache.held
    cache.release()
    cache.release()
    assert not cache.held
    assert wakes == [1]


def test_members_of_a_collection_are_told_to_those_who_watch_it() -> None:
    cache, notes = ResourceCache(), Notes()
    cache.watch(CLUSTER.type_url, "xdstp://a/t/x/*", notes)
    cache.update(upsert=[cluster("xdstp://a/t/x/1"), cluster("xdstp://a/t/y/1"), cluster("x")])
    assert notes.heard == [{"xdstp://a/t/x/1": None}]
    assert list(cache.members(CLUSTER.type_url, "xdstp://a/t/x/*")) == ["xdstp://a/t/x/1"]
    cache.update(remove=[(CLUSTER.type_url, "xdstp://a/t/x/1")])
    assert notes.heard[1:] == [{"xdstp://a/t/x/1": "0"}]
    assert list(cache.members(CLUSTER.type_url, "xdstp://a/t/x/*")) == []


def test_a_resource_is_found_by_its_aliases_and_those_who_watch_one_hear_of_it() -> None:
    cache, notes, all_notes = ResourceCache(), Notes(), Notes()
    cache.watch(VIRTUAL_HOST.type_url, "r/a", notes)
    cache.watch_all(VIRTUAL_HOST.type_url, all_notes)
    cache.update(upsert=[host("r/v", "r/a", "r/b")])
    assert cache.get(VIRTUAL_HOST.type_url, "r/a") == host("r/v", "r/a", "r/b")
    cache.update(upsert=[host("r/v", "r/b", content=1), host("r/w", "r/a")])
    assert cache.get(VIRTUAL_HOST.type_url, "r/a") == host("r/w", "r/a")
    cache.update(remove=[(VIRTUAL_HOST.type_url, "r/w")])
    assert cache.get(VIRTUAL_HOST.type_url, "r/a") is None
    assert notes.heard == [{"r/a": None}, {"r/a": "0"}, {"r/a": "0"}]
    assert all_notes.heard == [{"r/v": None}, {"r/v": "0", "r/w": None}, {"r/w": "0"}]


def test_references_are_checked_before_anything_is_pushed() -> None:
    cache, notes = ResourceCache(), Notes()
    cache.watch_all(CLUSTER.type_url, notes)
    with pytest.raises(DanglingReferences, match="eds 'a'") as error:
        cache.update(upsert=[cluster("a", eds=True), cluster("b")])
    assert error.value.missing == [(ENDPOINT.type_url, "a")]
    assert (notes.heard, dict(cache.resources(CLUSTER.type_url)), cache.revision) == ([], {}, 0)
    cache.update(upsert=[cluster("a", eds=True), assignment("a")])
    with pytest.raises(DanglingReferences, match="eds 'a'"):
        cache.update(remove=[(ENDPOINT.type_url, "a")])
    assert cache.get(ENDPOINT.type_url, "a") == assignment("a")
    cache.update(upsert=[cluster("a", 1)])
    cache.update(remove=[(ENDPOINT.type_url, "a")])


def test_what_points_and_what_is_pointed_at_may_go_together() -> None:
    cache = ResourceCache()
    cache.update(upsert=[cluster("a", eds=True), assignment("a")])
    cache.update(remove=[(ENDPOINT.type_url, "a"), (CLUSTER.type_url, "a")])
    cache.update(upsert=[assignment("a")])
    cache.update(remove=[(ENDPOINT.type_url, "a")])
    assert (dict(cache.resources(CLUSTER.type_url)), dict(cache.resources(ENDPOINT.type_url))) == ({}, {})


def test_a_resource_without_a_name_is_not_found_under_others() -> None:
    cache = ResourceCache()
    cache.update(upsert=[host(""), host("r/v", "r/a")])
    assert cache.get(VIRTUAL_HOST.type_url, "r/none") is None


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 2) | st.none(), min_size=1)))
def test_equal_content_has_an_equal_fingerprint_however_it_came_about(updates: list[dict[str, int | None]]) -> None:
    walked, asked_early = ResourceCache(), ResourceCache()
    asked_early.fingerprint(CLUSTER.type_url)
    for update in updates:
        upsert = [cluster(name, content) for name, content in update.items() if content is not None]
        remove = [(CLUSTER.type_url, name) for name, content in update.items() if content is None]
        for cache in (walked, asked_early):
            cache.update(upsert=upsert, remove=remove)
    fresh = ResourceCache()
    fresh.update(upsert=walked.resources(CLUSTER.type_url).values())
    sums = {cache.fingerprint(CLUSTER.type_url) for cache in (walked, asked_early, fresh)}
    assert len(sums) == 1


def test_what_was_only_asked_for_leaves_nothing_behind() -> None:
    cache, notes = ResourceCache(), Notes()
    cache.watch_all("invented", notes)
    cache.watch("invented", "a", notes)
    assert (dict(cache.resources("invented")), cache.fingerprint("invented")) == ({}, 0)
    cache.unwatch_all("invented", notes)
    cache.unwatch("invented", "a", notes)
    assert not any("invented" in str(part) for part in vars(cache).values())


def test_what_is_no_resource_is_refused_with_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"str is no Resource: put Resource\.of"):
        ResourceCache().update(upsert=["a cluster"])  # type: ignore[list-item]
