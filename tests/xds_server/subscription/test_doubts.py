"""What a client may have without having acknowledged it."""

from __future__ import annotations

from typing import Any

import pytest

from xds_server.resource_types import CLUSTER, ENDPOINT, LISTENER
from xds_server.subscription import Doubts, SyncState, doubts


def test_what_vanishes_after_a_refusal_is_removed_though_it_was_never_acknowledged(delta: Any, resource: Any) -> None:
    delta.put(resource(CLUSTER, "good"), resource(CLUSTER, "bad"))
    (response,) = delta.ask(CLUSTER)
    delta.remove(CLUSTER, "good")
    (response,) = delta.nack(CLUSTER, response, "bad: no")
    assert [entry.name for entry in response.resources] == ["bad"]
    (response,) = delta.nack(CLUSTER, response, "bad: no")
    assert list(response.removed_resources) == ["good"]


def test_what_vanishes_between_two_streams_is_removed(cache: Any, delta_stream: Any, resource: Any) -> None:
    before = delta_stream(cache)
    before.put(resource(CLUSTER, "good"), resource(CLUSTER, "bad"))
    (response,) = before.ask(CLUSTER)
    before.nack(CLUSTER, response, "bad: no")
    before.core.close()
    cache.update(remove=[(CLUSTER.type_url, "good")])
    after = delta_stream(cache, doubts=before.core.doubts())
    (response,) = after.ask(CLUSTER)
    assert [entry.name for entry in response.resources] == ["bad"]
    (removal,) = after.nack(CLUSTER, response, "bad: no")
    assert list(removal.removed_resources) == ["good"]


def test_a_full_state_is_sent_where_the_client_may_have_more_than_it_says(
    cache: Any, sotw_stream: Any, resource: Any
) -> None:
    before = sotw_stream(cache)
    (empty,) = before.ask(CLUSTER)
    before.ack(CLUSTER, empty)
    before.put(resource(CLUSTER, "good"), resource(CLUSTER, "bad"))
    (response,) = before.read()
    before.nack(CLUSTER, response, "bad: no", version=empty.version_info)
    before.core.close()
    cache.update(remove=[(CLUSTER.type_url, "good"), (CLUSTER.type_url, "bad")])
    assert sotw_stream(cache).ask(CLUSTER, version=empty.version_info) == []
    after = sotw_stream(cache, doubts=before.core.doubts())
    (response,) = after.ask(CLUSTER, version=empty.version_info)
    assert len(response.resources) == 0


def test_content_that_comes_back_after_a_refusal_is_sent(delta: Any, resource: Any) -> None:
    delta.put(resource(CLUSTER, "a"), resource(CLUSTER, "b"))
    (response,) = delta.ask(CLUSTER)
    delta.ack(CLUSTER, response)
    delta.put(resource(CLUSTER, "a", 1), resource(CLUSTER, "b", 1))
    (response,) = delta.read()
    delta.put(resource(CLUSTER, "a"))
    (response,) = delta.nack(CLUSTER, response, "b: no")
    assert [entry.name for entry in response.resources] == ["b"]
    (response,) = delta.nack(CLUSTER, response, "b: no")
    assert [(entry.name, entry.version) for entry in response.resources] == [("a", resource(CLUSTER, "a").version)]


def test_an_acknowledgement_settles_a_doubt(delta: Any, resource: Any) -> None:
    delta.put(resource(CLUSTER, "good"), resource(CLUSTER, "bad"))
    (response,) = delta.ask(CLUSTER)
    (response,) = delta.nack(CLUSTER, response, "bad: no")
    delta.ack(CLUSTER, response)
    assert delta.core.doubts() == {CLUSTER.type_url: {"bad": (resource(CLUSTER, "bad").version,)}}


def test_what_had_no_answer_when_the_stream_ended_is_doubtful_unless_the_client_states_it(
    cache: Any, delta_stream: Any, resource: Any
) -> None:
    before = delta_stream(cache)
    before.put(resource(LISTENER, "kept"), resource(LISTENER, "gone"))
    (response,) = before.ask(LISTENER)
    doubted = before.core.doubts()
    before.core.close()
    cache.update(remove=[(LISTENER.type_url, "gone")])
    accepted = {entry.name: entry.version for entry in response.resources}
    (response,) = delta_stream(cache, doubts=doubted).ask(LISTENER, has=accepted)
    assert ([entry.name for entry in response.resources], list(response.removed_resources)) == ([], ["gone"])
    (response,) = delta_stream(cache, doubts=doubted).ask(LISTENER)
    assert ([entry.name for entry in response.resources], list(response.removed_resources)) == (["kept"], ["gone"])


def test_a_resource_that_was_refused_twice_may_be_there_all_the_same(delta: Any, resource: Any) -> None:
    delta.put(resource(LISTENER, "good"), resource(LISTENER, "bad"))
    (response,) = delta.ask(LISTENER)
    (again,) = delta.nack(LISTENER, response, "bad: no")
    (last,) = delta.nack(LISTENER, again, "good: I do not feel like it")
    delta.remove(LISTENER, "good")
    (response,) = delta.nack(LISTENER, last, "bad: no")
    assert list(response.removed_resources) == ["good"]


def test_endpoints_of_a_refused_response_are_told_though_the_next_stream_states_them(
    cache: Any, delta_stream: Any, resource: Any
) -> None:
    before = delta_stream(cache)
    before.put(resource(ENDPOINT, "good"), resource(ENDPOINT, "bad"))
    (response,) = before.ask(ENDPOINT, "good", "bad")
    before.nack(ENDPOINT, response, "bad: no")
    before.core.close()
    after = delta_stream(cache, doubts=before.core.doubts())
    (response,) = after.ask(ENDPOINT, "good", has={"good": resource(ENDPOINT, "good").version})
    assert [entry.name for entry in response.resources] == ["good"]


def test_what_is_in_doubt_is_not_shown_as_synced(delta: Any, resource: Any) -> None:
    delta.put(resource(CLUSTER, "a"), resource(CLUSTER, "b"))
    (response,) = delta.ask(CLUSTER)
    delta.ack(CLUSTER, response)
    delta.put(resource(CLUSTER, "a", 1), resource(CLUSTER, "b", 1))
    (response,) = delta.read()
    (alone,) = delta.nack(CLUSTER, response, "b: no")
    assert [entry.name for entry in alone.resources] == ["a"]
    delta.put(resource(CLUSTER, "b", 2))
    delta.nack(CLUSTER, alone, "a: no")
    delta.put(resource(CLUSTER, "a"))
    assert delta.status(CLUSTER)["a"].state is SyncState.STALE


NODE, OTHER, THIRD = (("c", name) for name in "abd")


class Ended:
    """A stream with these doubts, of types that it was asked for."""

    broken = False

    def __init__(self, **doubts: dict[str, tuple[str | None, ...]]) -> None:
        self._doubts = {{"cds": CLUSTER, "eds": ENDPOINT}[name].type_url: names for name, names in doubts.items()}

    def doubts(self) -> dict[str, dict[str, tuple[str | None, ...]]]:
        return self._doubts


def remember(memory: Doubts, key: tuple[str, str], **doubts: dict[str, tuple[str | None, ...]]) -> None:
    """A stream of a node comes and goes."""
    stream = Ended(**doubts)
    memory.began(key, stream)
    memory.ended(key, stream)


def test_doubts_are_kept_by_node_and_type() -> None:
    memory = Doubts()
    remember(memory, NODE, cds={"x": ("1",)}, eds={})
    remember(memory, NODE, eds={"y": ("1",)})
    assert memory.of(NODE) == {CLUSTER.type_url: {"x": ("1",)}, ENDPOINT.type_url: {"y": ("1",)}}
    assert memory.of(OTHER) == {}
    remember(memory, NODE, cds={}, eds={})
    assert memory.of(NODE) == {}


def test_doubts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "MAX_NAMES_REMEMBERED", 4)
    memory = Doubts()
    for key in (NODE, OTHER, THIRD):
        remember(memory, key, cds={"x": ("1",), "y": ("1",)})
    assert [len(memory.of(key)) for key in (NODE, OTHER, THIRD)] == [0, 1, 1]


def test_one_node_cannot_take_the_place_of_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "MAX_NAMES_OF_NODE", 2)
    memory = Doubts()
    remember(memory, NODE, cds={"x": ("1",)})
    remember(memory, OTHER, cds={"x": ("1",)}, eds={"a": ("1",), "b": ("1",), "c": ("1",)})
    assert [list(memory.of(key)) for key in (NODE, OTHER)] == [[CLUSTER.type_url], [CLUSTER.type_url]]


def test_a_stream_begins_with_the_doubts_of_those_that_are_still_there() -> None:
    memory = Doubts()
    remember(memory, NODE, cds={"x": ("1",)})
    memory.began(NODE, Ended(cds={"x": ("2", "1"), "y": (None,)}, eds={"z": ("1",)}))
    assert memory.of(NODE) == {CLUSTER.type_url: {"x": ("1", "2"), "y": (None,)}, ENDPOINT.type_url: {"z": ("1",)}}


def test_what_a_younger_stream_has_begun_with_an_older_one_does_not_tell_again() -> None:
    memory = Doubts()
    older, younger = Ended(cds={"x": ("1",)}, eds={"y": ("1",)}), Ended(cds={})
    memory.began(NODE, older)
    memory.began(NODE, younger)
    memory.ended(NODE, older)
    assert memory.of(NODE) == {CLUSTER.type_url: {}, ENDPOINT.type_url: {"y": ("1",)}}


def test_a_stream_that_is_dead_without_knowing_it_takes_no_doubts_of_younger_ones() -> None:
    memory = Doubts()
    dead, younger = Ended(cds={"x": ("1",)}), Ended(cds={"y": ("1",)})
    memory.began(NODE, dead)
    memory.began(NODE, younger)
    memory.ended(NODE, younger)
    assert memory.of(NODE)[CLUSTER.type_url].keys() == {"x", "y"}
    memory.ended(NODE, dead)
    assert memory.of(NODE)[CLUSTER.type_url].keys() == {"x", "y"}


def test_a_stream_whose_client_broke_a_rule_leaves_nothing() -> None:
    memory = Doubts()
    stream = Ended(cds={"x": ("1",)})
    stream.broken = True
    memory.began(NODE, stream)
    memory.ended(NODE, stream)
    assert memory.of(NODE) == {}
