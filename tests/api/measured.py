"""A control plane whose RTSP proxy tells of endpoints, one of which is a canary's."""

from __future__ import annotations

import time

from mesh.wire import relay_pb2
from tests.api.planes import DOCUMENTS, RTSP_NODE, connect_envoy, connect_rtsp_proxy, routed_plane
from xds_server.control_plane import ControlPlane

CANARY = """
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: MediaPolicy
metadata: {name: trial, namespace: site}
spec:
  targetRefs: [{kind: RTSPRoute, name: lobby}]
  canary: {backendRef: {kind: Backend, name: far}, steps: [20, 100], setups: {minimum: 10, maxFailedPercent: 10}}
"""
USERS = """
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: AuthenticationFilter
metadata: {name: crew, namespace: site}
spec: {realm: house, users: [{secretRef: {name: ann}}]}
---
apiVersion: v1
kind: Secret
metadata: {name: ann, namespace: site}
type: kubernetes.io/basic-auth
stringData: {username: ann, password: wonderland}
"""
FAR = relay_pb2.EndpointKey(cluster="site/far", name="only", address="cam.example", port=554)
LEFT = relay_pb2.EndpointKey(cluster="site/pair", name="left", address="192.0.2.1", port=554, path="/axis")


def measured_plane() -> ControlPlane:
    """A session plays, a canary is at its first step, one endpoint is ejected, and some routes may have users."""
    plane = routed_plane(DOCUMENTS + CANARY + USERS)
    envoy = connect_envoy(plane)
    connect_rtsp_proxy(plane)
    envoy.settle()
    far = relay_pb2.EndpointStatus(
        endpoint=FAR, setups=4, sessions=1, healthy=True, connections=1, packets=100, lost_packets=5, jitter=0.0125
    )
    left = relay_pb2.EndpointStatus(
        endpoint=LEFT,
        setups=9,
        failed_setups=5,
        sessions=2,
        healthy=True,
        ejected_until=time.time() + 30.0,
        why="5 failures in a row",
        connections=2,
        opened_connections=6,
        keepalives=7,
        failed_keepalives=1,
        frames_dropped=3,
    )
    report(plane, far, left)
    return plane


def report(plane: ControlPlane, *statuses: relay_pb2.EndpointStatus) -> None:
    """The RTSP proxy tells of endpoints."""
    message = relay_pb2.ProxyMessage(endpoint_report=relay_pb2.EndpointReport(endpoints=statuses))
    plane.relays.stream_message(plane.relays.streams[RTSP_NODE], message)
