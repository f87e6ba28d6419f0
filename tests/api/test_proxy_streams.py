"""What the API says of proxies by their streams: of which kind they are, and what they have over all of them."""

from __future__ import annotations

from tests.api.planes import XdsPeer, connect_rtsp_proxy, routed_plane
from xds_server.envoy import GATEWAY_CLUSTER
from xds_server.resource_types import CLUSTER, ROUTE
from xds_server.scopes import RTSP_CLUSTER
from xds_server.subscription import Node


async def test_a_gateway_proxy_is_neither_a_media_proxy_nor_an_rtsp_proxy(connect):
    plane = routed_plane()
    connect_rtsp_proxy(plane)
    XdsPeer(plane, plane.caches.gateways, Node(id="edge", cluster=GATEWAY_CLUSTER), (CLUSTER.type_url,)).settle()
    client = connect(plane)
    kinds = {each["id"]: each["kind"] for each in (await client.get("/v1/proxies")).json()["items"]}
    assert kinds == {"edge": "gateway", "rtsp-a": "rtsp"}
    explained = (await client.get("/v1/explain?url=rtsp://cameras.example/lobby")).json()
    assert [proxy["id"] for proxy in explained["rtsp_proxies"]] == ["rtsp-a"]
    assert 'msm_xds_streams{kind="gateway"} 1.0' in (await client.get("/metrics")).text


async def test_a_proxy_with_a_stream_for_each_type_has_what_it_has_over_all_of_them(connect):
    plane = routed_plane()
    node = Node(id="rtsp-a", cluster=RTSP_CLUSTER)
    for kind in (CLUSTER, ROUTE):
        XdsPeer(plane, plane.routes, node, (kind.type_url,)).settle()
    client = connect(plane)
    listed = (await client.get("/v1/proxies/rtsp-a/resources")).json()["items"]
    assert {each["type"] for each in listed} == {"cds", "rds"}
    (proxy,) = (await client.get("/v1/proxies")).json()["items"]
    assert proxy["xds"]["streams"] == 2
    assert sum(count["resources"] for count in proxy["xds"]["resources"]) == len(listed)


async def test_a_proxy_that_does_not_answer_and_asks_too_fast_shows(connect):
    plane = routed_plane()
    peer = XdsPeer(plane, plane.routes, Node(id="rtsp-a", cluster=RTSP_CLUSTER), (CLUSTER.type_url,))
    assert peer.take()
    (stream,) = plane.proxies.values()
    stream.traffic.throttled = 3
    client = connect(plane)
    (proxy,) = (await client.get("/v1/proxies")).json()["items"]
    assert 0 < proxy["xds"]["unanswered_for"] < 60
    assert proxy["xds"]["throttled"] == 3
    assert proxy["xds"]["resources"] == [{"state": "sent", "resources": 2}]
