"""The proxy's endpoints: what becomes of attempts and sessions decides who gets the next ones."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_pb2
from google.protobuf import json_format
from structlog.testing import capture_logs

from mesh.wire import relay_pb2
from rtsp_filter.balancing import Assignment
from rtsp_filter.proxy.cameras.endpoints import Endpoints
from rtsp_filter.proxy.cameras.upstream import UpstreamError
from rtsp_filter.relays.endpoint_book import Count
from rtsp_filter.routes.table import Decision, NoRoute, RouteRequest, RouteTable
from rtsp_filter.rtsp import Credentials, RTSPError, StatusCode
from tests.peers.rtsp_wire import eventually

# Of the event loop: more than health checks take that need no answer.
TURNS = 20


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


async def test_an_endpoint_whose_sessions_media_stops_is_left_out() -> None:
    endpoints = _endpoints(_table(outlier_detection=_OUTLIERS))
    decision = _decide(endpoints)
    with capture_logs() as logs:
        endpoints.silent(decision, 3.2)
        assert len(_addresses(endpoints)) == 2
        endpoints.silent(decision, 4.0)
    assert set(_addresses(endpoints)) == {"192.0.2.2"}
    assert logs[0]["reason"].endswith("no media came for 4 s")


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


class Told:
    """Endpoints whose reports are kept."""

    def __init__(self, table: RouteTable) -> None:
        self.reports: list[relay_pb2.EndpointReport] = []
        self.endpoints = Endpoints(self.reports.append)
        self.endpoints.update(table)

    def status(self, address: str) -> relay_pb2.EndpointStatus | None:
        """What is known of an endpoint."""
        found = [each for report in self.endpoints.stated() for each in report.endpoints]
        return next((each for each in found if each.endpoint.address == address), None)


async def test_what_an_endpoint_is_asked_and_fails_is_counted() -> None:
    told = Told(_table())
    decision = _decide(told.endpoints)
    for status in (200, 401, 404, 407, 451, 453, 461, 500, 503):
        with told.endpoints.attempt(decision) as attempt:
            attempt.answered(status)
    with pytest.raises(UpstreamError), told.endpoints.attempt(decision):
        raise UpstreamError("the camera cannot be reached")
    with pytest.raises(RTSPError), told.endpoints.attempt(decision):
        raise RTSPError("no free slot", status=StatusCode.NOT_ENOUGH_BANDWIDTH)
    told.endpoints.silent(decision, 4.0)
    found = told.status("192.0.2.1")
    assert found is not None
    assert (found.setups, found.failed_setups, found.refused_setups) == (11, 5, 2)
    assert told.status("192.0.2.2") is None


async def test_sessions_and_ejection_of_an_endpoint_are_told() -> None:
    told = Told(_table(outlier_detection=_OUTLIERS))
    decision = _decide(told.endpoints)
    told.endpoints.session_began("s", decision)
    found = told.status("192.0.2.1")
    assert found is not None
    assert (found.sessions, found.healthy, found.ejected_until) == (1, True, 0.0)
    for _ in range(2):
        with told.endpoints.attempt(decision) as attempt:
            attempt.answered(500)
    told.endpoints.session_ended("s")
    await eventually(lambda: told.reports, "the report")
    (found,) = told.reports[-1].endpoints
    assert (found.sessions, found.healthy) == (0, True)
    assert abs(found.ejected_until - time.time() - 30.0) < 5.0
    assert found.why == "2 failures in a row, the last: the camera answered 500"


async def test_a_session_that_finds_no_endpoint_is_told_of_its_backend() -> None:
    told = Told(_table({"cluster": "nobody"}))
    assert isinstance(told.endpoints.decide(RouteRequest(host="h", path="/")), NoRoute)
    ((refused,),) = (report.clusters for report in told.endpoints.stated())
    assert (refused.cluster, refused.refused) == ("nobody", 1)


async def test_an_endpoint_that_no_cluster_has_any_more_is_told_as_gone() -> None:
    told = Told(_table())
    for _ in range(2):
        told.endpoints.tally(_decide(told.endpoints)).count(Count.CONNECTIONS)
    table = _table()
    (cluster,) = table.clusters.values()
    (first, _) = table.assignment("a").hosts
    told.endpoints.update(replace(table, assignments={cluster.assignment: Assignment(hosts=(first,))}))
    await eventually(lambda: told.reports, "the report")
    assert [key.address for report in told.reports for key in report.gone] == ["192.0.2.2"]
    assert told.status("192.0.2.2") is None
    assert told.status("192.0.2.1") is not None


async def test_of_an_endpoint_that_has_gone_nothing_is_kept_whatever_its_last_sessions_do() -> None:
    told = Told(_table(outlier_detection=_OUTLIERS))
    decision = _decide(told.endpoints)
    for session in ("first", "last"):
        told.endpoints.session_began(session, decision)
    told.endpoints.update(replace(_table(), assignments={"a": Assignment()}))
    told.endpoints.session_ended("first")
    told.endpoints.silent(decision, 4.0)
    told.endpoints.silent(decision, 4.0)
    told.endpoints.tally(decision).count(Count.CONNECTIONS)
    told.endpoints.session_ended("last")
    assert told.endpoints.stated() == []


async def test_an_endpoint_is_asked_how_it_is_when_it_is_known_what_to_tell_it() -> None:
    """Until then it is not known to fail either, and sessions are refused in place of being without a password."""
    check = {"timeout": "1s", "interval": "60s", "healthy_threshold": 1, "unhealthy_threshold": 1}
    met: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append("a question")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    table = _table(health_checks=[{**check, "tcp_health_check": {}}])
    (host, _) = table.assignment("a").hosts
    place = server.sockets[0].getsockname()
    camera = replace(host.endpoint, address=place[0], port=place[1], credentials="login")
    table = replace(table, assignments={"a": Assignment(hosts=(replace(host, endpoint=camera),))})
    endpoints = _endpoints(table)
    running = asyncio.create_task(endpoints.run())
    with pytest.raises(UpstreamError, match="the credentials login are not known yet") as refused:
        endpoints.access(_decide(endpoints))
    assert refused.value.status == StatusCode.SERVICE_UNAVAILABLE
    with capture_logs() as logs:
        for _ in range(TURNS):
            await asyncio.sleep(0)
    assert (met, logs) == ([], [])
    endpoints.update(replace(table, credentials={"login": Credentials(username="ann", password="s3cret")}))  # noqa: S106
    await eventually(lambda: met, "a question")
    assert endpoints.access(_decide(endpoints)).credentials is not None
    running.cancel()
    server.close()
    await server.wait_closed()
