"""The control plane without its server: what its parts tell each other."""

from __future__ import annotations

from mesh.wire import relay_pb2
from xds_server.control_plane import RTSP_CLUSTER, ControlPlane, ControlPlaneSettings
from xds_server.envoy import MEDIA_CLUSTER
from xds_server.media import MediaSettings
from xds_server.relays.service import RelayStream
from xds_server.relays.slots import SlotLayout
from xds_server.resources import CLUSTER, ENDPOINT, LISTENER, ROUTE
from xds_server.subscription import ConnectedProxy, Node, XdsProtocol

LAYOUT = SlotLayout(first_port=20000, last_port=20015)


def proxy(stream: str, cluster: str) -> ConnectedProxy:
    node = Node(id="envoy" if cluster == MEDIA_CLUSTER else "rtsp", cluster=cluster)
    return ConnectedProxy(
        id=stream, node=node, peer="here", connected_at=0.0, protocol=XdsProtocol.DELTA, statuses=lambda: []
    )


def plane_with_media_proxy() -> ControlPlane:
    media = MediaSettings(layout=LAYOUT, addresses=("127.0.0.1",))
    plane = ControlPlane(ControlPlaneSettings(listen="127.0.0.1:0", media=media, settle_time=0.0))
    envoy = proxy("stream-1", MEDIA_CLUSTER)
    plane.proxy_connected(envoy)
    for row in (CLUSTER, ENDPOINT, LISTENER):
        held = plane.media.cache.resources(row.type_url)
        plane.resources_acknowledged(envoy, row.type_url, {name: item.version for name, item in held.items()})
    return plane


def test_not_ready_until_an_rtsp_proxy_has_relay_stream_and_routes() -> None:
    plane = plane_with_media_proxy()
    rtsp = proxy("stream-2", RTSP_CLUSTER)
    assert plane.not_ready() == ["no RTSP proxy is connected"]

    plane.proxy_connected(rtsp)
    plane.stream_opened(RelayStream("rtsp", "here"), relay_pb2.State(node_id="rtsp"))
    assert plane.not_ready() == ["no RTSP proxy has acknowledged its routes yet"]
    assert not plane.ready.is_set()

    plane.resources_acknowledged(rtsp, ROUTE.type_url, {"routes": "1"})
    assert plane.not_ready() == []
    assert plane.ready.is_set()


def test_not_ready_any_more_when_the_proxy_that_had_routes_is_gone() -> None:
    plane = plane_with_media_proxy()
    rtsp = proxy("stream-2", RTSP_CLUSTER)
    plane.proxy_connected(rtsp)
    plane.stream_opened(RelayStream("rtsp", "here"), relay_pb2.State(node_id="rtsp"))
    plane.resources_acknowledged(rtsp, ROUTE.type_url, {"routes": "1"})

    plane.proxy_disconnected(rtsp)

    assert plane.not_ready() == ["no RTSP proxy has acknowledged its routes yet"]
    assert not plane.ready.is_set()
