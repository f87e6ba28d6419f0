"""Gateways in the API and on the command line: where sessions go, and how far proxies are."""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from envoy.config.endpoint.v3 import endpoint_pb2
from typer.testing import CliRunner

from api.app import create_app
from api.cli import make_app
from api.cli.gateway_tables import ports_of, show
from api.gateways import gateways
from tests.api.metrics import scrape
from tests.api.planes import DOCUMENTS, XdsPeer, connect_envoy, routed_plane
from xds_server.resource_types import CLUSTER, ENDPOINT, LISTENER
from xds_server.resources import Resource
from xds_server.subscription import Node

GATEWAY = """
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: site}
spec:
  gatewayClassName: media-streaming-mesh
  listeners: [{name: game, protocol: UDP, port: 7777}, {name: closed, protocol: TCP, port: 7778}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: games, namespace: site}
spec:
  parentRefs: [{name: edge, sectionName: game}]
  rules: [{backendRefs: [{kind: Backend, name: red, weight: 3}, {kind: Backend, name: blue}]}]
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {name: red, namespace: site}
spec: {endpoints: [{name: a, address: 192.0.2.1, port: 7000}]}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {name: blue, namespace: site}
spec: {endpoints: [{name: a, address: 192.0.2.2, port: 7000}]}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: MediaPolicy
metadata: {name: games, namespace: site}
spec:
  targetRefs: [{kind: UDPRoute, name: games}]
  session: {idleTimeout: 30s}
  accessLog: {type: Stdout}
"""


def plane():
    return routed_plane(DOCUMENTS + GATEWAY)


def gateway_proxy(served):
    node = Node(id="edge-1", cluster="msm-gateway")
    return XdsPeer(served, served.caches.gateways, node, (CLUSTER.type_url, ENDPOINT.type_url, LISTENER.type_url))


async def test_a_gateway_is_shown_with_where_its_sessions_go_and_how_far_proxies_are(connect):
    served = plane()
    connect_envoy(served)
    gateway_proxy(served)
    (gateway,) = (await connect(served).get("/v1/gateways")).json()["items"]
    game, closed = gateway.pop("listeners")
    assert gateway == {"namespace": "site", "name": "edge", "addresses": ["127.0.0.1"]}
    assert game == {
        "name": "game",
        "protocol": "UDP",
        "port": 7777,
        "route": "site/games",
        "backends": [
            {"backend": "site/red", "weight": 3, "share": 0.75},
            {"backend": "site/blue", "weight": 1, "share": 0.25},
        ],
        "policy": {
            "algorithm": "RoundRobin",
            "per_packet": False,
            "idle_timeout": 30.0,
            "max_duration": None,
            "on_backend_change": "Stick",
            "max_sessions": 16384,
            "health_check": False,
            "access_log": "stdout",
        },
        "resource": "gateway/site/edge/game",
        "proxies": [
            {"id": "edge-1", "state": "not_sent", "error": None},
            {"id": "envoy", "state": "synced", "error": None},
        ],
    }
    assert (closed["route"], closed["backends"], closed["policy"], closed["proxies"]) == (None, [], None, [])


async def test_what_a_proxy_refused_shows_with_its_words(connect):
    served = plane()
    gateway_proxy(served).refuse("cannot bind\n")
    (gateway,) = (await connect(served).get("/v1/gateways")).json()["items"]
    (proxy,) = gateway["listeners"][0]["proxies"]
    assert (proxy["id"], proxy["state"], proxy["error"]) == ("edge-1", "rejected", "cannot bind")


async def test_metrics_count_routes_and_listeners_and_who_refused_any(connect):
    served = plane()
    connect_envoy(served)
    peer = gateway_proxy(served)
    values = await scrape(connect(served))
    assert values["msm_routes",] == 1
    assert values["msm_transport_routes", ("protocol", "UDP")] == 1
    assert values["msm_transport_routes", ("protocol", "TCP")] == 0
    assert values["msm_gateway_listeners", ("protocol", "UDP"), ("state", "routed")] == 1
    assert values["msm_gateway_listeners", ("protocol", "TCP"), ("state", "closed")] == 1
    assert values["msm_gateway_listeners", ("protocol", "TCP"), ("state", "routed")] == 0
    assert values["msm_gateway_listeners_refused", ("proxy", "edge-1")] == 0
    peer.refuse("cannot bind")
    values = await scrape(connect(served))
    assert values["msm_gateway_listeners_refused", ("proxy", "edge-1")] == 1
    assert values["msm_gateway_listeners_refused", ("proxy", "envoy")] == 0


async def test_what_is_below_a_listener_counts(connect):
    served = routed_plane(DOCUMENTS + GATEWAY.replace("idleTimeout: 30s", "maxDuration: 30s"))
    loop = "gateway/site/edge/game/loop"
    peer = gateway_proxy(served)
    peer.settle()
    served.caches.gateways.update(upsert=[_other_loop(loop)])
    peer.refuse("cannot be")
    (gateway,) = (await connect(served).get("/v1/gateways")).json()["items"]
    (proxy,) = gateway["listeners"][0]["proxies"]
    assert (proxy["state"], proxy["error"]) == ("rejected", "cannot be")


def _other_loop(name):
    return Resource.of(endpoint_pb2.ClusterLoadAssignment(cluster_name=name))


async def test_the_commands_show_gateways_after_routes():
    served = plane()
    connect_envoy(served)
    gateway_proxy(served).refuse("cannot open file\n[/a.json]\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(create_app(served), log_config=None, lifespan="off", ws="none"))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listener]), name="uvicorn")
            api = f"127.0.0.1:{listener.getsockname()[1]}"
            words = [
                "site/edge",
                "game",
                "UDP",
                "127.0.0.1:7777",
                "site/red 75 %, site/blue 25 %",
                "1 rejected, 1 synced",
            ]
            words += ["site/edge game was refused by proxy edge-1: cannot open file\n[/a.json]\n"]
            for command in ("routes", "gateways"):
                result = await asyncio.to_thread(CliRunner().invoke, make_app(), [command, "--api", api])
                assert result.exit_code == 0
                assert [word for word in words if word not in result.stdout] == []
                assert ("site/lobby" in result.stdout) is (command == "routes")
            wide = await asyncio.to_thread(CliRunner().invoke, make_app(), ["gateways", "--api", api, "--wide"])
            assert "RoundRobin, idle 30s, at most 16384, Stick" in wide.stdout
            server.should_exit = True


def test_what_becomes_of_sessions_is_not_said_where_datagrams_are_balanced(capsys):
    served = routed_plane(
        DOCUMENTS + GATEWAY.replace("session: {idle", "balancing: {perPacket: true}\n  session: {idle")
    )
    show(ports_of(gateways(served)), wide=True)
    assert "RoundRobin by packet, idle 30s, at most 16384 " in capsys.readouterr().out


def test_gateways_and_policies_are_counted(tmp_path):
    path = tmp_path / "mesh.yaml"
    path.write_text(GATEWAY)
    result = CliRunner().invoke(make_app(), ["check", str(path)])
    assert (result.exit_code, result.output) == (0, "good: 1 route, 2 backends, 1 gateway, 1 policy\n")
