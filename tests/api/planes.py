"""Control planes without a network: filled through their own methods, with proxies that are real protocol cores."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from time import monotonic
from typing import Any

from envoy.service.discovery.v3 import discovery_pb2

from mesh.documents import compile_documents, load_documents
from mesh.wire import relay_pb2
from xds_server.cache import ResourceCache
from xds_server.control_plane import ControlPlane, ControlPlaneSettings
from xds_server.envoy.bootstrap import MEDIA_CLUSTER
from xds_server.media import MediaSettings
from xds_server.relays.service import RelayStream
from xds_server.relays.slots import SlotLayout
from xds_server.resource_types import CLUSTER, ENDPOINT, LISTENER, ROUTE
from xds_server.scopes import RTSP_CLUSTER
from xds_server.subscription import Node, StreamCore, XdsProtocol

DOCUMENTS = """
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {name: lobby, namespace: site}
spec:
  hostnames: [cameras.example]
  rules:
  - name: all
    matches: [{path: {type: PathPrefix, value: /lobby}}]
    filters:
    - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /live}}}
    - {type: RequestMirror, requestMirror: {backendRef: {kind: Backend, name: far}, percent: 5}}
    backendRefs:
    - {kind: Backend, name: pair, weight: 3}
    - {kind: Backend, name: far, weight: 1}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {name: pair, namespace: site}
spec:
  endpoints:
  - {name: left, address: 192.0.2.1, port: 554, path: /axis}
  - {name: right, address: 2001:db8::2, port: 8554, transport: tcp}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {name: far, namespace: site}
spec:
  endpoints: [{name: only, address: cam.example, port: 554}]
"""
_STREAM_IDS = count(1)
STARTED_AT = 1_700_000_000.0
RTSP_NODE = "rtsp-a"
SESSION = relay_pb2.Session(
    session_id="s1",
    client_address="192.0.2.200",
    url="rtsp://user:secret@cameras.example/lobby",
    upstream_url="rtsp://192.0.2.1/axis/live",
    route="site/lobby/all",
    cluster="site/pair",
    endpoint="192.0.2.1:554",
    transport=relay_pb2.UDP,
    state=relay_pb2.PLAYING,
    media=["video"],
    started_at=STARTED_AT,
)
RELAY = relay_pb2.OpenRelay(
    relay_id="r1",
    session_id="s1",
    media="video",
    receiver=relay_pb2.Receiver(address="192.0.2.200", rtp_port=5000, rtcp_port=5001),
)


def empty_plane() -> ControlPlane:
    """A control plane that knows nothing and has settled."""
    media = MediaSettings(layout=SlotLayout(first_port=20000, last_port=20399), addresses=("127.0.0.1",))
    return ControlPlane(ControlPlaneSettings(listen="127.0.0.1:0", media=media, settle_time=0))


def routed_plane(documents: str = DOCUMENTS) -> ControlPlane:
    """A control plane with routes; no proxy is connected."""
    plane = empty_plane()
    plane.set_slice(compile_documents(load_documents([("mesh.yaml", documents)]), source="files"))
    return plane


def busy_plane() -> ControlPlane:
    """A control plane with routes, both proxies and one playing session."""
    plane = routed_plane()
    envoy = connect_envoy(plane)
    connect_rtsp_proxy(plane)
    plane.relays.stream_message(plane.relays.streams[RTSP_NODE], relay_pb2.ProxyMessage(open_relay=RELAY))
    envoy.settle()
    return plane


def connect_envoy(plane: ControlPlane) -> XdsPeer:
    """A media proxy that has acknowledged everything."""
    node = Node(id="envoy", cluster=MEDIA_CLUSTER, user_agent="envoy", user_agent_version="1.40.0")
    peer = XdsPeer(plane, plane.media.cache, node, (CLUSTER.type_url, ENDPOINT.type_url, LISTENER.type_url))
    peer.settle()
    return peer


def connect_rtsp_proxy(plane: ControlPlane) -> XdsPeer:
    """An RTSP proxy, with both its streams, that has acknowledged everything and serves one session."""
    node = Node(id=RTSP_NODE, cluster=RTSP_CLUSTER)
    peer = XdsPeer(plane, plane.routes, node, (CLUSTER.type_url, ENDPOINT.type_url, ROUTE.type_url))
    peer.settle()
    state = relay_pb2.State(node_id=RTSP_NODE, sessions=[SESSION])
    plane.relays.stream_opened(RelayStream(RTSP_NODE, "ipv4:192.0.2.9:4000"), state)
    return peer


def report_media(plane: ControlPlane, *, packets: int, seconds: float) -> None:
    """The media proxy reports once a second, so many seconds until now, and in the last one packets of media."""
    slot = plane.media.registry.relays["r1"].slot
    now, reports = monotonic(), plane.node.reports
    reports.begun()
    for second in range(int(seconds)):
        reports.reported([], now - seconds + second)
    counters = {
        f"udp.slot-{slot}-rtp.downstream_sess_rx_datagrams": packets,
        f"cluster.slot-{slot}-rtp.udp.sess_tx_datagrams": packets,
        f"cluster.slot-{slot}-rtp.upstream_cx_tx_bytes_total": packets * 100,
    }
    reports.reported(counters.items(), now)


class XdsPeer:
    """One xDS stream of a proxy that asks for all resources of some types."""

    def __init__(self, plane: ControlPlane, cache: ResourceCache, node: Node, types: Iterable[str]) -> None:
        self._core = StreamCore(
            stream_id=str(next(_STREAM_IDS)),
            cache=cache,
            observer=plane,
            protocol=XdsProtocol.DELTA,
            node=node,
            peer="ipv4:192.0.2.8:4000",
            connected_at=STARTED_AT,
            wake=lambda: None,
        )
        for type_url in types:
            request = discovery_pb2.DeltaDiscoveryRequest(type_url=type_url, resource_names_subscribe=["*"])
            self._core.receive(request)

    def settle(self) -> None:
        """Acknowledge all that comes until nothing more does."""
        while self._answer(""):
            pass

    def take(self) -> list[Any]:
        """Whatever comes next, without an answer."""
        responses = self._core.next_responses(monotonic())
        return [discovery_pb2.DeltaDiscoveryResponse.FromString(data) for data in responses]

    def refuse(self, message: str) -> None:
        """Refuse whatever comes next."""
        self._answer(message)

    def leave(self) -> None:
        """End the stream."""
        self._core.close()

    def _answer(self, error: str) -> bool:
        responses = self.take()
        for response in responses:
            answer = discovery_pb2.DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
            if error:
                answer.error_detail.message = error
            self._core.receive(answer)
        return bool(responses)
