"""Incremental xDS, one test per rule of the protocol."""

from __future__ import annotations

from typing import Any

import pytest

from xds_server.cache import ResourceCache
from xds_server.resource_types import CLUSTER, ENDPOINT, LISTENER, ROUTE
from xds_server.subscription import SyncState
from xds_server.subscription import delta as delta_module


def names(response: Any) -> list[str]:
    return [entry.name for entry in response.resources]


def test_never_naming_a_cluster_means_all_of_them(delta: Any, resource: Any) -> None:
    delta.put(resource(CLUSTER, "a"), resource(CLUSTER, "b"))
    (response,) = delta.ask(CLUSTER)
    assert names(response) == ["a", "b"]


@pytest.mark.parametrize("kind", [ENDPOINT, ROUTE])
def test_never_naming_an_on_demand_resource_means_none(delta: Any, resource: Any, kind: Any) -> None:
    delta.put(resource(kind, "a"))
    assert delta.ask(kind) == []


def test_a_star_means_all_for_every_type(delta: Any, resource: Any) -> None:
    delta.put(resource(ENDPOINT, "a"), resource(ENDPOINT, "b"))
    (response,) = delta.ask(ENDPOINT, "*")
    assert names(response) == ["a", "b"]


def test_the_legacy_wildcard_stays_when_a_name_is_added(delta: Any, resource: Any) -> None:
    delta.ack(CLUSTER, delta.ask(CLUSTER)[0])
    delta.ack(CLUSTER, delta.ask(CLUSTER, "a")[0])
    delta.put(resource(CLUSTER, "b"))
    (response,) = delta.read()
    assert names(response) == ["b"]


def test_once_named_unsubscribing_from_all_means_nothing(delta: Any, resource: Any) -> None:
    delta.put(resource(CLUSTER, "a"))
    (response,) = delta.ask(CLUSTER, "a")
    assert delta.ack(CLUSTER, response, drop=["a"]) == []
    delta.put(resource(CLUSTER, "a", 1), resource(CLUSTER, "b"))
    assert delta.read() == []


def test_star_and_a_then_only_a_drops_the_wildcard(delta: Any, resource: Any) -> None:
    delta.put(resource(CLUSTER, "a"), resource(CLUSTER, "b"))
    (response,) = delta.ask(CLUSTER, "*", "a")
    assert delta.ack(CLUSTER, response, drop=["*"]) == []
    delta.put(resource(CLUSTER, "a", 1), resource(CLUSTER, "b", 1))
    (response,) = delta.read()
    assert names(response) == ["a"]


def test_an_empty_wildcard_is_answered_so_the_client_need_not_wait(delta: Any) -> None:
    (response,) = delta.ask(LISTENER)
    assert not response.resources
    assert not response.removed_resources


def test_a_plain_ack_gets_no_response(delta: Any, resource: Any) -> None:
    delta.put(resource(CLUSTER, "a"))
    (response,) = delta.ask(CLUSTER)
    assert delta.ack(CLUSTER, response) == []


def test_the_observer_hears_of_an_ack_and_of_the_stream(delta: Any, resource: Any) -> None:
    a = resource(CLUSTER, "a")
    delta.put(a)
    (response,) = delta.ask(CLUSTER)
    assert delta.acknowledged == {}
    delta.ack(CLUSTER, response)
    assert delta.acknowledged == {(CLUSTER.type_url, "a"): a.version}
    delta.core.close()
    assert delta.connected == delta.disconnected == [delta.core.proxy]


def test_only_what_changed_is_sent(delta: Any, resource: Any) -> None:
    delta.put(*(resource(CLUSTER, name) for name in "abc"))
    delta.ack(CLUSTER, delta.ask(CLUSTER)[0])
    delta.put(resource(CLUSTER, "a"), resource(CLUSTER, "b", 1))
    (response,) = delta.read()
    assert names(response) == ["b"]


def test_an_equal_resource_put_again_wakes_nobody(delta: Any, resource: Any) -> None:
    delta.put(resource(CLUSTER, "a"))
    delta.ack(CLUSTER, delta.ask(CLUSTER)[0])
    before = delta.wakes
    delta.put(resource(CLUSTER, "a"))
    assert delta.wakes == before


def test_changes_wake_only_streams_that_asked_for_the_name(
    cache: ResourceCache, delta_stream: Any, resource: Any
) -> None:
    one, other = delta_stream(cache, "1"), delta_stream(cache, "2")
    one.ask(ENDPOINT, "a")
    other.ask(ENDPOINT, "b")
    cache.update(upsert=[resource(ENDPOINT, "a")])
    assert (one.wakes, other.wakes) == (1, 0)


def test_a_closed_stream_is_woken_no_more(delta: Any, resource: Any) -> None:
    delta.ask(ENDPOINT, "a", "*")
    delta.core.close()
    delta.put(resource(ENDPOINT, "a"))
    assert delta.wakes == 0


def test_changes_while_a_response_is_in_flight_wait_and_only_the_latest_is_sent(delta: Any, resource: Any) -> None:
    delta.put(resource(ENDPOINT, "a"))
    (first,) = delta.ask(ENDPOINT, "a")
    for content in range(1, 5):
        delta.put(resource(ENDPOINT, "a", content))
        assert delta.read() == []
    (second,) = delta.ack(ENDPOINT, first)
    assert [entry.version for entry in second.resources] == [resource(ENDPOINT, "a", 4).version]


def test_a_change_that_was_undone_before_it_was_sent_is_acknowledged_without_sending(delta: Any, resource: Any) -> None:
    old = resource(ENDPOINT, "a")
    delta.put(old)
    (first,) = delta.ask(ENDPOINT, "a")
    delta.put(resource(ENDPOINT, "a", 1))
    delta.put(old)
    assert delta.ack(ENDPOINT, first) == []
    assert delta.acknowledged[ENDPOINT.type_url, "a"] == old.version


def test_a_missing_name_is_answered_as_removed_and_remembered(delta: Any, resource: Any) -> None:
    (response,) = delta.ask(ENDPOINT, "a")
    assert list(response.removed_resources) == ["a"]
    assert delta.ack(ENDPOINT, response) == []
    delta.put(resource(ENDPOINT, "a"))
    (response,) = delta.read()
    assert names(response) == ["a"]


def test_subscribing_again_to_a_held_name_sends_it_again(delta: Any, resource: Any) -> None:
    delta.put(resource(ENDPOINT, "a"), resource(ENDPOINT, "b"))
    delta.ack(ENDPOINT, delta.ask(ENDPOINT, "a", "b")[0])
    (response,) = delta.ask(ENDPOINT, "a")
    assert names(response) == ["a"]


def test_unsubscribing_from_a_name_never_subscribed_is_ignored(delta: Any, resource: Any) -> None:
    delta.put(resource(CLUSTER, "a"))
    delta.ack(CLUSTER, delta.ask(CLUSTER)[0])
    assert delta.ask(CLUSTER, drop=["a", "nonsense"]) == []


def test_unsubscribing_alone_gets_no_response_and_nothing_later(delta: Any, resource: Any) -> None:
    delta.put(resource(ENDPOINT, "a"))
    delta.ack(ENDPOINT, delta.ask(ENDPOINT, "a")[0])
    assert delta.ask(ENDPOINT, drop=["a"]) == []
    assert delta.acknowledged[ENDPOINT.type_url, "a"] is None
    delta.put(resource(ENDPOINT, "a", 1))
    assert delta.read() == []


@pytest.mark.parametrize("exists", [True, False])
def test_unsubscribing_from_a_name_that_the_wildcard_covers_is_answered(
    delta: Any, resource: Any, exists: bool
) -> None:
    if exists:
        delta.put(resource(CLUSTER, "a"))
    delta.ack(CLUSTER, delta.ask(CLUSTER, "*", "a")[0])
    (response,) = delta.ask(CLUSTER, drop=["a"])
    assert names(response) == (["a"] if exists else [])
    assert list(response.removed_resources) == ([] if exists else ["a"])


def test_after_a_reconnect_what_matches_is_skipped_and_what_vanished_is_removed(delta: Any, resource: Any) -> None:
    same, changed = resource(CLUSTER, "same"), resource(CLUSTER, "changed", 1)
    delta.put(same, changed)
    has = {"same": same.version, "changed": "old", "vanished": "old"}
    (response,) = delta.ask(CLUSTER, has=has)
    assert names(response) == ["changed"]
    assert delta.acknowledged == {(CLUSTER.type_url, "same"): same.version}
    assert delta.core.proxy.had_state
    (removal,) = delta.ack(CLUSTER, response)
    assert list(removal.removed_resources) == ["vanished"]


def test_after_a_reconnect_with_everything_nothing_is_sent(delta: Any, resource: Any) -> None:
    a = resource(ENDPOINT, "a")
    delta.put(a)
    assert delta.ask(ENDPOINT, "a", has={"a": a.version}) == []
    assert delta.acknowledged == {(ENDPOINT.type_url, "a"): a.version}


def test_a_name_claimed_on_reconnect_that_is_gone_is_removed(delta: Any) -> None:
    (response,) = delta.ask(ENDPOINT, "a", has={"a": "old"})
    assert list(response.removed_resources) == ["a"]


def test_a_stale_nonce_acknowledges_nothing_but_changes_subscriptions(delta: Any, resource: Any) -> None:
    delta.put(resource(ENDPOINT, "a"), resource(ENDPOINT, "b"))
    (first,) = delta.ask(ENDPOINT, "a")
    delta.ask(ENDPOINT, "b", nonce="no-such-nonce")
    assert delta.status(ENDPOINT)["a"].state is SyncState.SENT
    (second,) = delta.ack(ENDPOINT, first)
    assert names(second) == ["b"]


def test_nonces_differ_between_streams(cache: ResourceCache, delta_stream: Any) -> None:
    first = delta_stream(cache, "1").ask(CLUSTER)[0]
    second = delta_stream(cache, "2").ask(CLUSTER)[0]
    assert first.nonce != second.nonce


def test_an_ack_or_nack_may_change_subscriptions(delta: Any, resource: Any) -> None:
    delta.put(*(resource(ENDPOINT, name) for name in "abc"))
    (first,) = delta.ask(ENDPOINT, "a")
    (second,) = delta.ack(ENDPOINT, first, "b")
    assert names(second) == ["b"]
    (third,) = delta.nack(ENDPOINT, second, "b is bad", "c")
    assert names(third) == ["c"]


def test_refused_content_is_not_sent_again_until_it_changes(delta: Any, resource: Any) -> None:
    bad = resource(ENDPOINT, "a", 1)
    delta.put(bad)
    (response,) = delta.ask(ENDPOINT, "a")
    assert delta.nack(ENDPOINT, response, "I do not like it") == []
    assert delta.rejected == [("a", "I do not like it")]
    delta.put(bad)
    assert delta.read() == []
    delta.put(resource(ENDPOINT, "a", 2))
    (response,) = delta.read()
    assert names(response) == ["a"]
    delta.ack(ENDPOINT, response)
    assert delta.status(ENDPOINT)["a"].state is SyncState.SYNCED


def test_refused_content_is_not_sent_again_when_it_comes_back(delta: Any, resource: Any) -> None:
    good, bad = resource(LISTENER, "a", 0), resource(LISTENER, "a", 1)
    delta.put(good)
    delta.ack(LISTENER, delta.ask(LISTENER, "a")[0])
    delta.put(bad)
    delta.nack(LISTENER, delta.read()[0])
    status = delta.status(LISTENER)["a"]
    assert (status.state, status.version_acknowledged, status.version_sent, status.error) == (
        SyncState.REJECTED,
        good.version,
        bad.version,
        "no",
    )
    delta.put(good)
    assert delta.read() == []
    assert delta.status(LISTENER)["a"].state is SyncState.SYNCED


def test_the_good_resources_of_a_refused_response_are_sent_again_alone(delta: Any, resource: Any) -> None:
    delta.put(*(resource(LISTENER, name) for name in ("bad", "good", "fine")))
    (response,) = delta.ask(LISTENER)
    (again,) = delta.nack(LISTENER, response, "error adding bad: no such address")
    assert names(again) == ["good", "fine"]
    assert delta.ack(LISTENER, again) == []
    assert delta.rejected == [("bad", "error adding bad: no such address")]
    assert {name: s.state for name, s in delta.status(LISTENER).items()} == {
        "bad": SyncState.REJECTED,
        "good": SyncState.SYNCED,
        "fine": SyncState.SYNCED,
    }


def test_a_refusal_that_names_nobody_is_narrowed_down(delta: Any, resource: Any) -> None:
    all_names = [f"l{i}" for i in range(16)]
    delta.put(*(resource(LISTENER, name) for name in all_names))
    responses, exchanges = delta.ask(LISTENER), 0
    while responses:
        (response,) = responses
        exchanges += 1
        bad = "l5" in names(response)
        answer = delta.nack if bad else delta.ack
        responses = answer(LISTENER, response)
    assert delta.rejected == [("l5", "no")]
    assert exchanges <= 9
    states = {name: s.state for name, s in delta.status(LISTENER).items()}
    assert states == {n: SyncState.REJECTED if n == "l5" else SyncState.SYNCED for n in all_names}


def test_a_response_never_repeats_a_name(delta: Any, resource: Any) -> None:
    delta.put(resource(CLUSTER, "a"))
    (response,) = delta.ask(CLUSTER, "*", "a", "a")
    assert names(response) == ["a"]


def test_versions_are_per_resource_and_names_are_those_embedded(delta: Any, resource: Any) -> None:
    a, b = resource(ENDPOINT, "a"), resource(ENDPOINT, "b", 1)
    delta.put(a, b)
    (response,) = delta.ask(ENDPOINT, "*")
    assert {entry.name: entry.version for entry in response.resources} == {"a": a.version, "b": b.version}
    assert response.system_version_info


def test_a_large_state_is_sent_in_parts(delta: Any, resource: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta_module, "MAX_RESPONSE_BYTES", 250)
    wanted = [f"c{i}" for i in range(5)]
    delta.put(*(resource(CLUSTER, name) for name in wanted))
    parts, responses = [], delta.ask(CLUSTER)
    while responses:
        parts.append(names(responses[0]))
        responses = delta.ack(CLUSTER, responses[0])
    assert len(parts) > 1
    assert [name for part in parts for name in part] == wanted


def test_removals_come_with_the_last_part(delta: Any, resource: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    delta.put(resource(LISTENER, "old"))
    delta.ack(LISTENER, delta.ask(LISTENER)[0])
    monkeypatch.setattr(delta_module, "MAX_RESPONSE_BYTES", 1)
    delta.remove(LISTENER, "old")
    delta.put(resource(LISTENER, "a"), resource(LISTENER, "b"))
    (first,) = delta.read()
    (second,) = delta.ack(LISTENER, first)
    assert (names(first), list(first.removed_resources)) == (["a"], [])
    assert (names(second), list(second.removed_resources)) == (["b"], ["old"])


def test_what_was_asked_for_and_dropped_before_it_was_answered_is_forgotten(resource: Any, delta_stream: Any) -> None:
    cache = ResourceCache(held=True)
    delta = delta_stream(cache)
    delta.put(resource(ENDPOINT, "a"))
    delta.ask(ENDPOINT, "*")
    delta.ask(ENDPOINT, "*")
    delta.ask(ENDPOINT, drop=["*"])
    delta.ask(ENDPOINT, "b")
    cache.release()
    (response,) = delta.read()
    assert names(response) == []
    assert list(response.removed_resources) == ["b"]


def test_while_the_cache_is_held_nothing_is_answered(resource: Any, delta_stream: Any) -> None:
    cache = ResourceCache(held=True)
    delta = delta_stream(cache)
    assert delta.ask(CLUSTER, has={"kept": "v", "same": resource(CLUSTER, "same").version}) == []
    delta.put(resource(CLUSTER, "same"), resource(CLUSTER, "new"))
    assert delta.read() == []
    assert delta.acknowledged == {(CLUSTER.type_url, "same"): resource(CLUSTER, "same").version}
    before = delta.wakes
    cache.release()
    assert delta.wakes > before
    sent = delta.read()
    assert [names(response) for response in sent] == [["new"]]


def test_nobody_is_blamed_for_content_that_changed_before_it_was_tried_alone(delta: Any, resource: Any) -> None:
    delta.put(resource(LISTENER, "a"), resource(LISTENER, "b"))
    (both,) = delta.ask(LISTENER)
    delta.put(resource(LISTENER, "a", 1))
    responses = delta.nack(LISTENER, both, "one of them is bad")
    while responses:
        responses = delta.ack(LISTENER, responses[0])
    assert delta.rejected == []
    assert {s.state for s in delta.status(LISTENER).values()} == {SyncState.SYNCED}
