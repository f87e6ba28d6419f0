"""Sessions that are played are mirrored as often as their route says, and their mirrors end with them."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_pb2
from google.protobuf import json_format
from structlog.testing import capture_logs

from rtsp_filter.proxy.cameras.endpoints import Endpoints
from rtsp_filter.proxy.cameras.upstream import Upstream
from rtsp_filter.proxy.limits import MAX_SHADOWS
from rtsp_filter.proxy.sessions.presentation import Presentation
from rtsp_filter.proxy.sessions.session_host import Described
from rtsp_filter.proxy.shadows.mirrors import Mirrors
from rtsp_filter.proxy.shadows.shadow import Shadows
from rtsp_filter.routes.table import Answer, Decision, RouteRequest, RouteTable
from tests.peers.rtsp_wire import eventually
from tests.peers.scripted_camera import ScriptedCamera, plays_nothing

SESSIONS = 1000


def _table(
    *policies: dict[str, Any],
    servers: int = 1,
    address: str = "192.0.2.1",
    port: int = 554,
    lb_policy: str = "ROUND_ROBIN",
    **action: Any,
) -> RouteTable:
    """A route to cluster "a", mirrored as `policies` say to cluster "b", with so many servers from `address` on."""
    to = {"cluster": "a", "request_mirror_policies": list(policies), **action}
    route = {"name": "r", "match": {"prefix": "/cams"}, "route": to}
    hosts = [{"name": "any", "domains": ["*"], "routes": [route]}]
    return RouteTable.from_xds(
        json_format.ParseDict({"name": "rtsp", "virtual_hosts": hosts}, route_pb2.RouteConfiguration()),
        [
            json_format.ParseDict({"name": name, "type": "EDS", "lb_policy": lb_policy}, cluster_pb2.Cluster())
            for name in "ab"
        ],
        [_assignment("a", 1, address, port), _assignment("b", servers, address, port)],
    )


def _assignment(cluster: str, servers: int, first: str, port: int) -> Any:
    addresses = [str(ip_address(first) + number) for number in range(servers)]
    endpoints = [
        {
            "endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}},
            "metadata": {"filter_metadata": {"mediastreamingmesh.io": {"name": address, "path": f"/{cluster}?n=1"}}},
        }
        for address in addresses
    ]
    value = {"cluster_name": cluster, "endpoints": [{"lb_endpoints": endpoints}] if endpoints else []}
    return json_format.ParseDict(value, endpoint_pb2.ClusterLoadAssignment())


def _part(numerator: int) -> dict[str, Any]:
    return {"cluster": "b", "runtime_fraction": {"default_value": {"numerator": numerator}}}


def _endpoints(table: RouteTable) -> Endpoints:
    endpoints = Endpoints()
    endpoints.update(table)
    return endpoints


def _decide(endpoints: Endpoints, path: str = "/cams/1?token=x") -> Decision:
    answer = endpoints.decide(RouteRequest(host="h", path=path))
    assert isinstance(answer, Decision)
    return answer


@pytest.mark.parametrize("percent", [0, 5, 33, 100])
async def test_the_part_holds_over_1000_decisions(percent: int) -> None:
    endpoints = _endpoints(_table(_part(percent)))
    mirrored = sum(len(list(endpoints.mirrors(_decide(endpoints)))) for _ in range(SESSIONS))
    wanted = percent * SESSIONS // 100
    assert abs(mirrored - wanted) <= 0.05 * wanted


async def test_several_mirrors_have_their_own_parts() -> None:
    endpoints = _endpoints(_table({"cluster": "b"}, _part(10)))
    found = Counter(len(list(endpoints.mirrors(_decide(endpoints)))) for _ in range(100))
    assert found == {1: 90, 2: 10}


async def test_a_mirror_is_asked_for_the_same_below_its_own_path_with_the_players_query() -> None:
    rewrite = {"regex_rewrite": {"pattern": {"regex": "^/cams"}, "substitution": "/new"}}
    endpoints = _endpoints(_table({"cluster": "b"}, **rewrite))
    (mirrored,) = endpoints.mirrors(_decide(endpoints))
    assert (mirrored.cluster, mirrored.upstream.path) == ("b", "/b/new/1?n=1&token=x")
    assert (mirrored.mirrors, mirrored.reasons) == (
        (),
        ("Route r mirrors sessions: 100 % are set up at backend b as well.",),
    )


async def test_a_mirrors_servers_have_their_turns() -> None:
    endpoints = _endpoints(_table({"cluster": "b"}, servers=2))
    found = Counter(each.upstream.name for _ in range(10) for each in endpoints.mirrors(_decide(endpoints)))
    assert found == {"192.0.2.1": 5, "192.0.2.2": 5}


async def test_a_mirrors_server_may_be_found_by_the_streams_path() -> None:
    policy = [{"header": {"header_name": ":path"}}]
    endpoints = _endpoints(_table({"cluster": "b"}, servers=3, lb_policy="MAGLEV", hash_policy=policy))
    found = {
        path: {each.upstream.name for _ in range(5) for each in endpoints.mirrors(_decide(endpoints, path))}
        for path in (f"/cams/{number}" for number in range(20))
    }
    assert all(len(names) == 1 for names in found.values())
    assert len(set.union(*found.values())) == 3


async def test_a_mirror_without_a_server_mirrors_nothing_and_the_log_says_so() -> None:
    endpoints = _endpoints(_table({"cluster": "b"}, servers=0))
    with capture_logs() as logs:
        assert list(endpoints.mirrors(_decide(endpoints))) == []
    (line,) = logs
    assert (line["event"], line["backend"], line["reason"]) == (
        "a session is not mirrored",
        "b",
        "it has no endpoint now",
    )


async def test_the_account_of_a_decision_tells_of_its_mirrors() -> None:
    endpoints = _endpoints(_table(_part(10)))
    assert (
        "Of the sessions that are played 10 % are set up at backend b as well, "
        "and their media is measured and shown to nobody."
    ) in _decide(endpoints).reasons


URL = "rtsp://h/cams/1"


def _source(endpoints: Endpoints) -> Described:
    presentation = Presentation.undescribed(URL, "rtsp://192.0.2.1/a")
    return Described(presentation=presentation, decision=_decide(endpoints), upstream=Upstream())


class _Router:
    """Routes to cluster "a", and all of it to a mirror at a port of the loopback as well."""

    def __init__(self, port: int) -> None:
        self.endpoints = _endpoints(_table({"cluster": "b"}, address="127.0.0.1", port=port))
        self.mirrors = Mirrors(self.endpoints, Shadows(self))

    def decide(self, request: RouteRequest) -> Answer:
        return self.endpoints.decide(request)


async def test_a_session_is_mirrored_once_however_often_it_is_played_and_until_it_ends() -> None:
    async with ScriptedCamera(plays_nothing) as camera:
        router = _Router(camera.port)
        source = _source(router.endpoints)
        router.mirrors.played("s", source)
        router.mirrors.played("s", source)
        await eventually(lambda: [each.method for each in camera.requests][-1:] == ["PLAY"], "the mirror's session")
        router.mirrors.over("s")
        router.mirrors.over("s")
        await eventually(lambda: not camera.connections, "its end")
        assert [each.method for each in camera.requests] == ["DESCRIBE", "SETUP", "PLAY", "TEARDOWN"]


async def test_where_there_is_no_room_for_a_shadow_the_log_says_so() -> None:
    async with ScriptedCamera(plays_nothing) as camera:
        router = _Router(camera.port)
        names = [str(number) for number in range(MAX_SHADOWS + 1)]
        with capture_logs() as logs:
            for name in names:
                router.mirrors.played(name, _source(router.endpoints))
        (line,) = logs
        assert (line["event"], line["session"]) == ("a session is not mirrored", names[-1])
        await eventually(lambda: camera.connections == MAX_SHADOWS, "all mirrors")
        for name in names:
            router.mirrors.over(name)
        await eventually(lambda: not camera.connections, "their end")
