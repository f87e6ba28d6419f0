"""Every operation of the API, over control planes in each state that matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mesh.model import Slice
from mesh.wire import relay_pb2
from tests.api.planes import (
    RTSP_NODE,
    SESSION,
    XdsPeer,
    busy_plane,
    connect_envoy,
    connect_rtsp_proxy,
    empty_plane,
    report_media,
    routed_plane,
)
from xds_server.envoy.bootstrap import MEDIA_CLUSTER
from xds_server.relays.service import RelayStream
from xds_server.resource_types import CLUSTER
from xds_server.subscription import Node

ROUTE = {
    "namespace": "site",
    "name": "lobby",
    "hostnames": ["cameras.example"],
    "rules": [
        {
            "name": "all",
            "matches": [
                {"type": "PathPrefix", "value": "/lobby", "method": None, "headers": [], "query_params": []},
            ],
            "rewrite": {"type": "ReplacePrefixMatch", "value": "/live"},
            "redirect": None,
            "request_headers": {"remove": [], "set": [], "add": []},
            "response_headers": {"remove": [], "set": [], "add": []},
            "timeout": None,
            "try_timeout": None,
            "retry": None,
            "users": None,
            "backends": [
                {"backend": "site/pair", "weight": 3, "share": 0.75},
                {"backend": "site/far", "weight": 1, "share": 0.25},
            ],
            "mirrors": [{"backend": "site/far", "share": 0.05}],
        }
    ],
}


async def test_an_empty_mesh_lists_nothing(connect):
    client = connect(empty_plane())
    for path in ("routes", "backends", "sources", "sessions", "relays", "proxies"):
        response = await client.get(f"/v1/{path}")
        assert (response.status_code, response.json()) == (200, {"items": []})


async def test_routes_are_listed_with_the_shares_of_their_backends(connect):
    client = connect(routed_plane())
    assert (await client.get("/v1/routes")).json() == {"items": [ROUTE]}


async def test_a_route_is_found_by_namespace_and_name(connect):
    client = connect(routed_plane())
    assert (await client.get("/v1/routes/site/lobby")).json() == ROUTE


async def test_backends_are_listed_by_name_with_their_endpoints(connect):
    far, pair = (await connect(routed_plane()).get("/v1/backends")).json()["items"]
    assert (far["name"], pair["name"]) == ("far", "pair")
    assert (far["tls"], pair["tls"]) == (None, None)
    left = {"name": "left", "address": "192.0.2.1", "port": 554, "path": "/axis", "transport": "auto"}
    right = {"name": "right", "address": "2001:db8::2", "port": 8554, "path": "", "transport": "tcp"}
    assert pair["endpoints"] == [each | {"has_credentials": False, "sessions": 0} for each in (left, right)]


async def test_endpoints_tell_how_many_sessions_they_have(connect):
    endpoints = [
        endpoint
        for backend in (await connect(busy_plane()).get("/v1/backends")).json()["items"]
        for endpoint in backend["endpoints"]
    ]
    assert {endpoint["name"]: endpoint["sessions"] for endpoint in endpoints}["left"] == 1
    assert sum(endpoint["sessions"] for endpoint in endpoints) == 1


async def test_a_source_keeps_its_last_good_state_and_shows_why_the_latest_was_refused(connect):
    plane = routed_plane()
    plane.source_failed("files", "mesh.yaml:3: unknown field\nmesh.yaml:7: unknown kind")
    (files,) = (await connect(plane).get("/v1/sources")).json()["items"]
    assert datetime.now(UTC) - datetime.fromisoformat(files.pop("taken_at")) < timedelta(minutes=1)
    assert files == (
        {
            "name": "files",
            "routes": ["site/lobby"],
            "backends": ["site/far", "site/pair"],
            "gateways": [],
            "errors": ["mesh.yaml:3: unknown field", "mesh.yaml:7: unknown kind"],
        }
    )


async def test_a_source_that_never_said_anything_usable_is_listed_with_its_error(connect):
    plane = routed_plane()
    plane.set_slice(Slice(source="command line", routes=plane.mesh.routes))
    command_line = (await connect(plane).get("/v1/sources")).json()["items"][0]
    assert (command_line["name"], command_line["routes"]) == ("command line", [])
    assert command_line["taken_at"] is None
    assert "defined by both files and command line" in command_line["errors"][0]


async def test_a_session_is_shown_with_its_relays_and_without_credentials(connect):
    client = connect(busy_plane())
    session = (await client.get("/v1/sessions/s1")).json()
    assert session == {
        "id": "s1",
        "state": "playing",
        "transport": "udp",
        "client_address": "192.0.2.200",
        "url": "rtsp://cameras.example/lobby",
        "upstream_url": "rtsp://192.0.2.1/axis/live",
        "route": "site/lobby",
        "rule": "all",
        "backend": "site/pair",
        "endpoint": "192.0.2.1:554",
        "media": ["video"],
        "relays": ["r1"],
        "proxy": RTSP_NODE,
        "started_at": "2023-11-14T22:13:20Z",
    }
    assert (await client.get("/v1/sessions")).json() == {"items": [session]}


async def test_sessions_are_listed_oldest_first(connect):
    plane = busy_plane()
    older = relay_pb2.Session(session_id="s0", started_at=SESSION.started_at - 1)
    plane.relays.stream_message(plane.relays.streams[RTSP_NODE], relay_pb2.ProxyMessage(session=older))
    items = (await connect(plane).get("/v1/sessions")).json()["items"]
    assert [(item["id"], item["state"], item["transport"]) for item in items] == [
        ("s0", "unknown", "unknown"),
        ("s1", "playing", "udp"),
    ]


async def test_ending_a_session_asks_its_proxy(connect):
    plane = busy_plane()
    stream = plane.relays.streams[RTSP_NODE]
    while not stream.queue.empty():
        stream.queue.get_nowait()
    response = await connect(plane).delete("/v1/sessions/s1")
    assert (response.status_code, response.json()["id"]) == (202, "s1")
    asked = stream.queue.get_nowait()
    assert asked is not None
    assert asked.end_session.session_id == "s1"
    assert asked.end_session.reason == "ended by an operator"


async def test_a_session_whose_proxy_is_away_cannot_be_ended_now(connect):
    plane = busy_plane()
    plane.relays.stream_closed(plane.relays.streams[RTSP_NODE])
    response = await connect(plane).delete("/v1/sessions/s1")
    assert response.status_code == 503
    assert response.json()["detail"] == "session s1 is served by rtsp-a, which is not connected"


async def test_a_relay_is_shown_with_its_ports_and_receiver(connect):
    plane = busy_plane()
    slot = plane.media.registry.relays["r1"].slot
    assert slot is not None
    first = 20000 + 4 * slot
    items = (await connect(plane).get("/v1/relays")).json()["items"]
    assert items == [
        {
            "id": "r1",
            "session": "s1",
            "media": "video",
            "state": "ready",
            "slot": slot,
            "addresses": ["127.0.0.1"],
            "ingress": {"rtp": first, "rtcp": first + 1},
            "egress": {"rtp": first + 2, "rtcp": first + 3},
            "receiver": {"address": "192.0.2.200", "ports": {"rtp": 5000, "rtcp": 5001}},
            "activity": "unknown",
            "traffic": None,
            "proxy": RTSP_NODE,
        }
    ]


async def test_a_relay_is_shown_with_what_the_media_proxy_has_counted(connect):
    plane = busy_plane()
    report_media(plane, packets=20, seconds=10.0)
    (relay,) = (await connect(plane).get("/v1/relays")).json()["items"]
    assert relay["activity"] == "flowing"
    traffic = relay["traffic"]
    assert 0 <= traffic.pop("media_age") < 1
    assert traffic == {
        "packets_received": 20,
        "packets_sent": 20,
        "bytes_sent": 2000,
        "receiver_packets": 0,
        "receiver_age": None,
    }


async def test_proxies_of_both_kinds_are_listed(connect):
    envoy, rtsp = (await connect(busy_plane()).get("/v1/proxies")).json()["items"]
    counts = envoy["xds"].pop("resources")
    assert envoy == {
        "id": "envoy",
        "kind": "media",
        "cluster": MEDIA_CLUSTER,
        "software": "envoy",
        "version": "1.40.0",
        "xds": {
            "peer": "ipv4:192.0.2.8:4000",
            "connected_at": "2023-11-14T22:13:20Z",
            "protocol": "delta",
            "streams": 1,
            "throttled": 0,
            "unanswered_for": None,
        },
        "relay_stream": None,
    }
    assert [count["state"] for count in counts] == ["synced"]
    assert (rtsp["id"], rtsp["kind"]) == (RTSP_NODE, "rtsp")
    # One RouteConfiguration, two clusters, endpoints of the one that has no host name in it.
    assert rtsp["xds"]["resources"] == [{"state": "synced", "resources": 4}]
    assert rtsp["relay_stream"] == {"peer": "ipv4:192.0.2.9:4000", "sessions": 1, "relays": 1}


async def test_a_proxy_with_only_one_of_its_streams_is_listed_too(connect):
    plane = empty_plane()
    plane.relays.stream_opened(RelayStream("rtsp-b", "ipv4:192.0.2.9:4000"), relay_pb2.State(node_id="rtsp-b"))
    client = connect(plane)
    (proxy,) = (await client.get("/v1/proxies")).json()["items"]
    assert (proxy["id"], proxy["kind"], proxy["xds"]) == ("rtsp-b", "rtsp", None)
    assert (await client.get("/v1/proxies/rtsp-b/resources")).json() == {"items": []}


async def test_two_proxies_that_share_a_node_id_show(connect):
    plane = empty_plane()
    connect_envoy(plane)
    XdsPeer(plane, plane.media.cache, Node(id="envoy", cluster=MEDIA_CLUSTER), (CLUSTER.type_url,))
    (proxy,) = (await connect(plane).get("/v1/proxies")).json()["items"]
    assert proxy["xds"]["streams"] == 2


async def test_resources_of_a_proxy_are_listed_by_type(connect):
    client = connect(busy_plane())
    everything = (await client.get(f"/v1/proxies/{RTSP_NODE}/resources")).json()["items"]
    assert sorted({item["type"] for item in everything}) == ["cds", "eds", "rds"]
    clusters = (await client.get(f"/v1/proxies/{RTSP_NODE}/resources", params={"type": "cds"})).json()["items"]
    assert [item["name"] for item in clusters] == ["site/far", "site/pair"]
    by_url = await client.get(f"/v1/proxies/{RTSP_NODE}/resources", params={"type": CLUSTER.type_url})
    assert by_url.json()["items"] == clusters
    (item,) = (await client.get(f"/v1/proxies/{RTSP_NODE}/resources", params={"type": "rds"})).json()["items"]
    assert item["version_sent"] == item["version_acknowledged"] is not None
    assert (item["state"], item["error"]) == ("synced", None)


async def test_a_refused_resource_is_shown_with_the_words_of_the_proxy(connect):
    plane = routed_plane()
    node = Node(id=RTSP_NODE, cluster="msm-rtsp")
    peer = XdsPeer(plane, plane.routes, node, ("type.googleapis.com/envoy.config.route.v3.RouteConfiguration",))
    peer.refuse("no such match")
    (item,) = (await connect(plane).get(f"/v1/proxies/{RTSP_NODE}/resources")).json()["items"]
    assert (item["state"], item["error"]) == ("rejected", "no such match")
    assert item["version_acknowledged"] is None


async def test_a_node_id_may_have_slashes(connect):
    plane = empty_plane()
    plane.relays.stream_opened(RelayStream("a/b", "ipv4:192.0.2.9:4000"), relay_pb2.State(node_id="a/b"))
    client = connect(plane)
    for path in ("/v1/proxies/a/b/resources", "/v1/proxies/a%2Fb/resources"):
        assert (await client.get(path)).status_code == 200


async def test_a_mesh_is_healthy_before_it_is_ready(connect):
    client = connect(empty_plane())
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["reasons"] == ["no media proxy (Envoy) is connected", "no RTSP proxy is connected"]


async def test_a_mesh_with_both_proxies_is_ready(connect):
    response = await connect(busy_plane()).get("/readyz")
    assert (response.status_code, response.json()) == (200, {"ready": True})


async def test_a_mesh_that_lost_its_envoy_is_not_ready(connect):
    plane = routed_plane()
    envoy = connect_envoy(plane)
    connect_rtsp_proxy(plane)
    client = connect(plane)
    assert (await client.get("/readyz")).status_code == 200
    envoy.leave()
    assert (await client.get("/readyz")).json()["reasons"] == ["no media proxy (Envoy) is connected"]
