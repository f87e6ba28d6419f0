"""The proxy's endpoints: what becomes of attempts and sessions decides who gets the next ones."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_pb2
from google.protobuf import json_format
from structlog.testing import capture_logs

from rtsp_filter.proxy.endpoints import Endpoints
from rtsp_filter.proxy.upstream import UpstreamError
from rtsp_filter.routing import Decision, NoRoute, RouteRequest, RouteTable
from rtsp_filter.rtsp import RTSPError, StatusCode


def _endpoint(number: int, version: str = "") -> dict[str, Any]:
    address = {"socket_address": {"address": f"192.0.2.{number}", "port_value": 554}}
    labels = {"envoy.lb": {"version": version}} if version else {}
    return {"endpoint": {"address": address}, "metadata": {"filter_metadata": labels}}


def _table(action: dict[str, Any] | None = None, *, labels: tuple[str, ...] = (), **cluster: Any) -> RouteTable:
    route = {"name": "r", "match": {"prefix": "/"}, "route": action or {"cluster": "a"}}
    configuration = {"name": "rtsp", "virtual_hosts": [{"name": "any", "domains": ["*"], "routes": [route]}]}
    endpoints = [_endpoint(1, *labels[:1]), _endpoint(2, *labels[1:])]
    assignment = {"cluster_name": "a", "endpoints": [{"lb_endpoints": endpoints}]}
    return RouteTable.from_xds(
        json_format.ParseDict(configuration, route_pb2.RouteConfiguration()),
        [json_format.ParseDict({"name": "a", "type": "EDS", **cluster}, cluster_pb2.Cluster())],
        [json_format.ParseDict(assignment, endpoint_pb2.ClusterLoadAssignment())],
    )


def _endpoints(table: RouteTable) -> Endpoints:
    endpoints = Endpoints()
    endpoints.update(table)
    return endpoints


def _decide(endpoints: Endpoints, path: str = "/", client: str = "192.0.2.99") -> Decision:
    answer = endpoints.decide(RouteRequest(host="h", path=path, client_address=client))
    assert isinstance(answer, Decision)
    return answer


def _addresses(endpoints: Endpoints, count: int = 10) -> Counter[str]:
    return Counter(_decide(endpoints).upstream.address for _ in range(count))


_OUTLIERS = {"consecutive_5xx": 2, "max_ejection_percent": 100}


async def test_an_endpoint_that_cannot_be_reached_or_answers_badly_is_left_out_and_the_log_says_why() -> None:
    endpoints = _endpoints(_table(outlier_detection=_OUTLIERS))
    decision = _decide(endpoints)
    with capture_logs() as logs:
        with pytest.raises(UpstreamError), endpoints.attempt(decision):
            raise UpstreamError("the camera cannot be reached")
        with endpoints.attempt(decision) as attempt:
            attempt.answered(StatusCode.INTERNAL_SERVER_ERROR)
    assert set(_addresses(endpoints)) == {"192.0.2.2"}
    (line,) = logs
    assert (line["event"], line["backend"], line["camera"]) == ("an endpoint is left out", "a", "192.0.2.1:554")
    assert re.search("2 failures in a row, the last: the camera answered 500", line["reason"])


async def test_what_is_not_the_endpoints_fault_counts_for_nothing() -> None:
    endpoints = _endpoints(_table(outlier_detection=_OUTLIERS))
    decision = _decide(endpoints)
    for _ in range(5):
        with pytest.raises(RTSPError), endpoints.attempt(decision):
            raise RTSPError("no free slot", status=StatusCode.NOT_ENOUGH_BANDWIDTH)
        with endpoints.attempt(decision) as attempt:
            attempt.answered(StatusCode.NOT_FOUND)
    assert len(_addresses(endpoints)) == 2


async def test_a_backend_takes_so_many_sessions_until_one_ends() -> None:
    endpoints = _endpoints(_table(circuit_breakers={"thresholds": [{"max_connections": 1}]}))
    decision = _decide(endpoints)
    endpoints.admit(decision)
    endpoints.session_began("s", decision)
    with pytest.raises(RTSPError, match="the backend a has its 1 sessions already") as caught:
        endpoints.admit(decision)
    assert caught.value.status is StatusCode.SERVICE_UNAVAILABLE
    answer = endpoints.decide(RouteRequest(host="h", path="/"))
    assert isinstance(answer, NoRoute)
    assert answer.message == "the backend a has its 1 sessions already"
    endpoints.session_ended("s")
    endpoints.session_ended("s")
    endpoints.admit(_decide(endpoints))


async def test_a_backend_sets_up_so_many_sessions_at_once() -> None:
    endpoints = _endpoints(_table(circuit_breakers={"thresholds": [{"max_pending_requests": 1}]}))
    with endpoints.attempt(_decide(endpoints)):
        answer = endpoints.decide(RouteRequest(host="h", path="/"))
        assert isinstance(answer, NoRoute)
        assert answer.message == "the backend a sets up 1 sessions already, as many as it may at once"
    _decide(endpoints)


async def test_the_client_may_be_what_decides() -> None:
    action = {"cluster": "a", "hash_policy": [{"connection_properties": {"source_ip": True}}]}
    endpoints = _endpoints(_table(action, lb_policy="RING_HASH"))
    found = {
        client: {_decide(endpoints, path, client).upstream.address for path in ("/a", "/b", "/c")}
        for client in (f"192.0.2.{number}" for number in range(50, 80))
    }
    assert all(len(addresses) == 1 for addresses in found.values())
    assert len(set.union(*found.values())) == 2


async def test_a_canary_may_be_a_subset_of_one_cluster() -> None:
    """Two shares of one cluster, told apart by labels: 95 to 5, each at its own endpoint."""
    shares = [
        {"name": "a", "weight": weight, "metadata_match": {"filter_metadata": {"envoy.lb": {"version": version}}}}
        for version, weight in (("old", 95), ("new", 5))
    ]
    subsets = {"subset_selectors": [{"keys": ["version"]}]}
    action = {"weighted_clusters": {"clusters": shares}}
    endpoints = _endpoints(_table(action, labels=("old", "new"), lb_subset_config=subsets))
    counts = _addresses(endpoints, 1000)
    assert abs(counts["192.0.2.1"] - 950) <= 2
    assert abs(counts["192.0.2.2"] - 50) <= 2
