"""Budgets of requests and of streams."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import json_format

from xds_server.compile.slots import slot_names
from xds_server.discovery import MAX_REQUEST_BYTES
from xds_server.media import MediaPlane, MediaSettings
from xds_server.relays.slots import SlotLayout
from xds_server.resource_types import CLUSTER, ENDPOINT, LISTENER
from xds_server.subscription import StreamError, limits, node_of, stream
from xds_server.subscription.base import MAX_ERROR_CHARACTERS
from xds_server.subscription.faults import MAX_NAME_CHARACTERS
from xds_server.subscription.limits import (
    OPEN_BURST,
    OPENS_PER_SECOND,
    REQUEST_BURST,
    REQUESTS_PER_SECOND,
    Admission,
    request_budget,
)
from xds_server.subscription.stream import MAX_NAMES, NAMES_PER_TOKEN


def test_a_burst_passes_and_then_requests_are_paced() -> None:
    budget = request_budget(0.0)
    assert {budget.spend(0.0) for _ in range(int(REQUEST_BURST))} == {0.0}
    delays = [budget.spend(0.0) for _ in range(3)]
    assert delays == [1 / REQUESTS_PER_SECOND, 2 / REQUESTS_PER_SECOND, 3 / REQUESTS_PER_SECOND]


def test_a_slow_client_never_waits_and_idle_time_is_not_saved_up() -> None:
    budget = request_budget(0.0)
    assert all(budget.spend(now / REQUESTS_PER_SECOND) == 0.0 for now in range(10_000))
    budget.spend(1e9)
    assert sum(budget.spend(1e9) == 0.0 for _ in range(3 * int(REQUEST_BURST))) == int(REQUEST_BURST) - 1


def test_a_media_proxy_may_have_the_slots_of_all_udp_ports_and_state_them_when_it_reconnects() -> None:
    slots = range(SlotLayout(first_port=1, last_port=65535).capacity)
    one = MediaPlane(
        MediaSettings(layout=SlotLayout(first_port=20000, last_port=20003), addresses=("::1",)),
        now=0.0,
        settle_time=0.0,
    )
    listed = sum(len(one.cache.resources(kind.type_url)) for kind in (CLUSTER, ENDPOINT, LISTENER))
    named = len(one.cache.resources(ENDPOINT.type_url))
    assert len(slots) * (listed + named) < MAX_NAMES

    [version, *_] = (resource.version for resource in one.cache.resources(ENDPOINT.type_url).values())
    names = [name for slot in slots for name in slot_names(slot)]
    request = discovery_pb2.DeltaDiscoveryRequest(
        type_url=ENDPOINT.type_url,
        resource_names_subscribe=names,
        initial_resource_versions=dict.fromkeys(names, version),
    )
    assert request.ByteSize() < MAX_REQUEST_BYTES


def test_a_node_may_open_a_burst_of_streams_and_then_two_a_second() -> None:
    admission = Admission()
    opened = [admission.refusal(("c", "n"), 0.0) for _ in range(int(OPEN_BURST) + 2)]
    assert opened[: int(OPEN_BURST)] == [None] * int(OPEN_BURST)
    assert all(reason is not None and "'n' opens streams too often: wait 0.5 s" in reason for reason in opened[-2:])
    assert admission.refusal(("c", "n"), 1 / OPENS_PER_SECOND) is None
    assert admission.refusal(("c", "other"), 0.0) is None


def test_remembered_nodes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    admission = Admission()
    monkeypatch.setattr(limits, "MAX_NODES", 1)
    while admission.refusal(("c", "a"), 0.0) is None:
        pass
    assert admission.refusal(("c", "b"), 0.0) is None
    assert admission.refusal(("c", "a"), 0.0) is None


def test_names_are_not_longer_than_names_are(delta: Any, sotw: Any) -> None:
    long = "x" * (MAX_NAME_CHARACTERS + 1)
    for ask in (lambda: delta.ask(CLUSTER, long), lambda: sotw.ask(CLUSTER, long)):
        with pytest.raises(StreamError, match="a name of more than 4096 characters: 'xxx"):
            ask()
    with pytest.raises(StreamError, match="a name of more than"):
        delta.ask(ENDPOINT, "a", has={"a": long})
    with pytest.raises(StreamError, match="a name of more than"):
        delta.core.receive(discovery_pb2.DeltaDiscoveryRequest(type_url=long))


@pytest.mark.parametrize("node", [{"id": "x" * 5000}, {"cluster": "x" * 5000}, {"metadata": {"x": "x" * 70_000}}])
def test_a_node_is_not_larger_than_nodes_are(node: dict[str, Any]) -> None:
    request = json_format.ParseDict({"node": node}, discovery_pb2.DeltaDiscoveryRequest())
    with pytest.raises(StreamError):
        node_of(request.node)


def test_what_a_client_says_when_it_refuses_is_cut(delta: Any, resource: Any) -> None:
    delta.put(resource(CLUSTER, "a"))
    (response,) = delta.ask(CLUSTER)
    delta.nack(CLUSTER, response, "x" * 1_000_000)
    assert len(delta.rejected[0][1]) == MAX_ERROR_CHARACTERS


def test_a_request_costs_with_its_names_and_a_plain_answer_nothing(delta: Any, resource: Any) -> None:
    def cost(**fields: Any) -> float:
        cost: float = delta.core.receive(discovery_pb2.DeltaDiscoveryRequest(type_url=ENDPOINT.type_url, **fields))
        return cost

    delta.put(resource(ENDPOINT, "a"))
    assert cost(resource_names_subscribe=[f"e{i}" for i in range(NAMES_PER_TOKEN)]) == 2
    (response,) = delta.read()
    assert cost(response_nonce=response.nonce) == 0
    assert cost(resource_names_subscribe=["a"]) > 1
    (response,) = delta.read()
    assert cost(response_nonce=response.nonce, resource_names_subscribe=["a"]) > 1


def test_more_names_than_a_stream_may_have_are_refused_before_they_are_read(
    delta: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MAX_NAMES", 5)
    with pytest.raises(StreamError, match="11 resource names in one request"):
        delta.ask(CLUSTER, *(f"c{i}" for i in range(11)))
    assert delta.status(CLUSTER) == {}
    assert delta.core.broken


def test_metadata_that_is_no_json_is_refused() -> None:
    request = discovery_pb2.DeltaDiscoveryRequest()
    request.node.metadata["x"] = float("nan")
    with pytest.raises(StreamError, match="metadata that JSON cannot hold"):
        node_of(request.node)
