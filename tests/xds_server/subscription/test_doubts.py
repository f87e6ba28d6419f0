"""What a client may have without having acknowledged it."""

from __future__ import annotations

from typing import Any

import pytest

from xds_server.resource_types import CLUSTER, ENDPOINT, LISTENER
from xds_server.subscription import Doubts, doubts


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


def node(name: str) -> tuple[str, str]:
    return ("c", name)


def test_doubts_are_kept_by_node_and_type() -> None:
    memory = Doubts()
    memory.remember(node("a"), {CLUSTER.type_url: {"x": ("1",)}, ENDPOINT.type_url: {}})
    memory.remember(node("a"), {ENDPOINT.type_url: {"y": ("1",)}})
    assert memory.of(node("a")) == {CLUSTER.type_url: {"x": ("1",)}, ENDPOINT.type_url: {"y": ("1",)}}
    assert memory.of(node("b")) == {}
    memory.remember(node("a"), {CLUSTER.type_url: {}, ENDPOINT.type_url: {}})
    assert memory.of(node("a")) == {}


def test_doubts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "MAX_NAMES_REMEMBERED", 4)
    memory = Doubts()
    for name in "abc":
        memory.remember(node(name), {CLUSTER.type_url: {"x": ("1",), "y": ("1",)}})
    assert [len(memory.of(node(name))) for name in "abc"] == [0, 1, 1]


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


def test_one_node_cannot_take_the_place_of_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "MAX_NAMES_OF_NODE", 2)
    memory = Doubts()
    memory.remember(node("a"), {CLUSTER.type_url: {"x": ("1",)}})
    memory.remember(node("b"), {CLUSTER.type_url: {"x": ("1",)}, ENDPOINT.type_url: dict.fromkeys("abc", ("1",))})
    assert [list(memory.of(node(name))) for name in "ab"] == [[CLUSTER.type_url], [CLUSTER.type_url]]


def test_a_resource_that_was_refused_twice_may_be_there_all_the_same(delta: Any, resource: Any) -> None:
    delta.put(resource(LISTENER, "good"), resource(LISTENER, "bad"))
    (response,) = delta.ask(LISTENER)
    (again,) = delta.nack(LISTENER, response, "bad: no")
    (last,) = delta.nack(LISTENER, again, "good: I do not feel like it")
    delta.remove(LISTENER, "good")
    (response,) = delta.nack(LISTENER, last, "bad: no")
    assert list(response.removed_resources) == ["good"]


def test_doubts_of_streams_that_overlap_are_put_together() -> None:
    one = {CLUSTER.type_url: {"x": ("1",)}}
    other = {CLUSTER.type_url: {"x": ("2",), "y": (None,)}, ENDPOINT.type_url: {"z": ("1",)}}
    assert doubts.merged(one, other) == {
        CLUSTER.type_url: {"x": ("1", "2"), "y": (None,)},
        ENDPOINT.type_url: {"z": ("1",)},
    }
