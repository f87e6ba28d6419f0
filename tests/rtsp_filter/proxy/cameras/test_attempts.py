"""What begins a session is asked of another endpoint where one fails, as the route says; of real servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_pb2
from google.protobuf import json_format

from rtsp_filter.proxy.cameras.attempts import RedirectedError, answer_again, first_answer
from rtsp_filter.proxy.cameras.endpoints import Endpoints
from rtsp_filter.proxy.cameras.upstream import UpstreamError
from rtsp_filter.proxy.sessions.session_host import Described
from rtsp_filter.routes.table import Answer, RouteRequest, RouteTable
from rtsp_filter.rtsp import Request, Response, RTSPError, StatusCode, respond
from tests.peers.ports import reserve_ports
from tests.peers.rtsp_wire import eventually
from tests.peers.scripted_camera import ScriptedCamera

URL = "rtsp://h/cam"
REQUEST = RouteRequest(host="h", path="/cam")
TO_CAMS = {"cluster": "cams"}


class Router:
    """Routes to endpoints at these ports of the loopback."""

    def __init__(
        self, *ports: int, route: dict[str, Any] | None = None, lb_policy: str = "ROUND_ROBIN", **action: Any
    ) -> None:
        entry = {"name": "r", "match": {"prefix": "/"}, **(route or {"route": TO_CAMS | action})}
        hosts = [{"name": "any", "domains": ["*"], "routes": [entry]}]
        addresses = [{"socket_address": {"address": "127.0.0.1", "port_value": port}} for port in ports]
        endpoints = [{"endpoint": {"address": address}} for address in addresses]
        assignment = {"cluster_name": "cams", "endpoints": [{"lb_endpoints": endpoints}]}
        self.endpoints = Endpoints()
        self.endpoints.update(
            RouteTable.from_xds(
                json_format.ParseDict({"name": "rtsp", "virtual_hosts": hosts}, route_pb2.RouteConfiguration()),
                [json_format.ParseDict({"name": "cams", "type": "EDS", "lb_policy": lb_policy}, cluster_pb2.Cluster())],
                [json_format.ParseDict(assignment, endpoint_pb2.ClusterLoadAssignment())],
            )
        )

    def decide(self, request: RouteRequest) -> Answer:
        return self.endpoints.decide(request)

    async def ask(self) -> tuple[Described, Response]:
        described, response = await first_answer(self, REQUEST, URL, describe)
        described.upstream.close()
        return described, response


async def describe(described: Described) -> Response:
    return await described.upstream.request("DESCRIBE", described.presentation.upstream_url, headers=[("X-A", "1")])


def says(status: StatusCode, *headers: tuple[str, str]) -> Callable[[Request], Response]:
    return lambda request: respond(request, status, headers)


def hangs_up(request: Request) -> None:
    return None


GOOD, BAD = says(StatusCode.OK), says(StatusCode.SERVICE_UNAVAILABLE)


async def test_an_endpoint_that_cannot_be_reached_is_passed_over_whichever_comes_first() -> None:
    with reserve_ports(1) as ports:
        async with ScriptedCamera(GOOD) as camera:
            router = Router(ports.take(), camera.port)
            for _ in range(4):
                described, response = await router.ask()
                assert (response.status, described.decision.upstream.port) == (200, camera.port)
    assert len(camera.requests) == 4


@pytest.mark.parametrize("lb_policy", ["RING_HASH", "MAGLEV", "RANDOM", "LEAST_REQUEST"])
async def test_however_it_is_balanced_another_endpoint_is_found(lb_policy: str) -> None:
    policy = [{"header": {"header_name": ":path"}}]
    with reserve_ports(1) as ports:
        async with ScriptedCamera(GOOD) as camera:
            router = Router(ports.take(), camera.port, lb_policy=lb_policy, hash_policy=policy)
            for number in range(8):
                request = RouteRequest(host="h", path=f"/{number}")
                described, response = await first_answer(router, request, f"rtsp://h/{number}", describe)
                described.upstream.close()
                assert response.status == 200


async def test_without_another_endpoint_the_failure_is_the_players() -> None:
    with reserve_ports(2) as ports, pytest.raises(UpstreamError, match="cannot be reached") as caught:
        await Router(ports.take(), ports.take()).ask()
    assert caught.value.status == 502
    async with ScriptedCamera(BAD) as camera:
        router = Router(camera.port, retry_policy={"retry_on": "5xx", "num_retries": 5})
        _, response = await router.ask()
    assert (response.status, len(camera.requests)) == (503, 1)


@pytest.mark.parametrize(
    ("bad", "retry_on", "asked"),
    [
        (BAD, "gateway-error", 2),
        (BAD, "connect-failure,reset", 1),
        (hangs_up, "reset", 2),
        (hangs_up, "connect-failure", 1),
        (says(StatusCode.NOT_FOUND), "retriable-status-codes", 2),
        (says(StatusCode.NOT_FOUND), "5xx", 1),
        (says(StatusCode.UNAUTHORIZED), "5xx,reset", 1),
    ],
)
async def test_what_the_policy_names_is_tried_again(bad: Any, retry_on: str, asked: int) -> None:
    async with ScriptedCamera(bad) as one, ScriptedCamera(bad) as other:
        policy = {"retry_on": retry_on, "num_retries": 4, "retriable_status_codes": [404]}
        try:
            await Router(one.port, other.port, retry_policy=policy).ask()
        except UpstreamError:
            assert bad is hangs_up
    assert len(one.requests) + len(other.requests) == asked


async def test_no_more_endpoints_are_tried_than_the_policy_allows() -> None:
    async with AsyncExitStack() as stack:
        cameras = [await stack.enter_async_context(ScriptedCamera(BAD)) for _ in range(5)]
        policy = {"retry_on": "5xx", "num_retries": 2}
        _, response = await Router(*(camera.port for camera in cameras), retry_policy=policy).ask()
        assert response.status == 503
        assert sorted(len(camera.requests) for camera in cameras) == [0, 0, 1, 1, 1]


async def test_a_silent_endpoint_has_the_time_of_a_try_and_all_have_the_time_of_the_route() -> None:
    now = asyncio.get_running_loop().time
    async with ScriptedCamera() as silent, ScriptedCamera() as other:
        policy = {"retry_on": "reset", "num_retries": 9, "per_try_timeout": "0.3s"}
        with pytest.raises(UpstreamError, match=r"did not answer within 0\.3 s") as caught:
            await Router(silent.port, other.port, retry_policy=policy).ask()
        assert (caught.value.status, len(silent.requests), len(other.requests)) == (504, 1, 1)
        began = now()
        with pytest.raises(UpstreamError, match=r"did not answer within 0\.[34]"):
            await Router(silent.port, other.port, timeout="0.4s", retry_policy={"retry_on": "reset"}).ask()
        assert now() - began < 2
    assert len(silent.requests) + len(other.requests) == 3


@pytest.mark.parametrize(
    "patience", [{"retry_policy": {"retry_on": "5xx", "per_try_timeout": "0.3s"}}, {"timeout": "0.3s"}]
)
async def test_an_endpoint_that_has_asked_for_a_password_and_then_is_silent_has_the_time_of_a_try(
    patience: Any,
) -> None:
    async with ScriptedCamera(says(StatusCode.UNAUTHORIZED)) as camera:
        router = Router(camera.port, **patience)
        described, _ = await first_answer(router, REQUEST, URL, describe)
        camera._answer = None
        with pytest.raises(UpstreamError, match=r"did not answer within 0\.3 s") as caught:
            async with asyncio.timeout(5):
                await answer_again(router, described, describe)
        assert (caught.value.status, len(camera.requests)) == (504, 2)
        assert described.upstream.closed is not None


async def test_the_connection_to_an_endpoint_that_failed_is_closed() -> None:
    async with ScriptedCamera(BAD) as bad, ScriptedCamera(GOOD) as good:
        router = Router(bad.port, good.port, retry_policy={"retry_on": "5xx"})
        while not bad.requests:
            await router.ask()
        await eventually(lambda: not bad.connections, "end of the connection")


async def test_a_waiting_player_that_leaves_closes_the_connection() -> None:
    async with ScriptedCamera() as silent:
        task = asyncio.create_task(Router(silent.port).ask())
        await eventually(lambda: silent.requests, "question")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: not silent.connections, "end of the connection")


async def test_headers_change_on_both_ways() -> None:
    def added(name: str) -> list[dict[str, Any]]:
        return [{"header": {"key": name, "value": "new"}}]

    async with ScriptedCamera(says(StatusCode.OK, ("Server", "secret"), ("X-C", "1"))) as camera:
        route = {
            "route": TO_CAMS,
            "request_headers_to_remove": ["x-a"],
            "request_headers_to_add": added("X-B"),
            "response_headers_to_remove": ["server"],
            "response_headers_to_add": added("X-D"),
        }
        _, response = await Router(camera.port, route=route).ask()
    (asked,) = camera.requests
    assert (asked.headers.get("X-A"), asked.headers.get("X-B")) == (None, "new")
    assert [response.headers.get(name) for name in ("Server", "X-C", "X-D")] == [None, "1", "new"]


async def test_a_redirect_and_a_missing_route_are_errors_with_their_status() -> None:
    moved = {
        "redirect": {"host_redirect": "b", "response_code": "FOUND"},
        "response_headers_to_add": [{"header": {"key": "X-D", "value": "new"}}],
    }
    with pytest.raises(RedirectedError) as redirected:
        await Router(route=moved).ask()
    answer = redirected.value.answer(Request(method="DESCRIBE", url=URL))
    assert (answer.status, answer.headers.get("Location"), answer.headers.get("X-D")) == (302, "rtsp://b/cam", "new")
    with pytest.raises(RTSPError) as missing:
        await Router(route={"match": {"path": "/other"}, "route": TO_CAMS}).ask()
    assert missing.value.status == 404
    with pytest.raises(RTSPError) as empty:
        await Router().ask()
    assert empty.value.status == 503
