"""Kinds of Gateway API, Kubernetes and other meshes that have no place here, and what to write in their place.

Who knows a mesh for the web writes these first.
"""

from __future__ import annotations

from mesh.gateways import GATEWAY_CLASS

_OF_RTSP = (
    "RTSP URLs are routed by an RTSPRoute (mediastreamingmesh.io/v1alpha1), which has HTTPRoute's shape without"
    " parentRefs"
)
_OF_TCP = "its connections can pass by a TCPRoute behind a Gateway, whole and unread"
_OF_SESSIONS = (
    "how sessions are balanced, limited and checked is said by a MediaPolicy (mediastreamingmesh.io/v1alpha1)"
)

_INSTEAD = {
    "HTTPRoute": _OF_RTSP,
    "Ingress": _OF_RTSP,
    "VirtualService": _OF_RTSP,
    "GRPCRoute": f"gRPC is not routed by method; {_OF_TCP}",
    "TLSRoute": f"TLS is not routed by name; {_OF_TCP}",
    "GatewayClass": f'leave it out, the class of Gateways here is always "{GATEWAY_CLASS}"',
    "ListenerSet": "write all listeners in the Gateway",
    "XListenerSet": "write all listeners in the Gateway",
    "ReferenceGrant": "leave it out, and put backends and Secrets into the namespace of their routes",
    "DestinationRule": _OF_SESSIONS,
    "BackendTrafficPolicy": _OF_SESSIONS,
    "XBackendTrafficPolicy": _OF_SESSIONS,
    "BackendLBPolicy": _OF_SESSIONS,
    "ServiceEntry": "servers outside Kubernetes are a Backend (mediastreamingmesh.io/v1alpha1)",
    "Endpoints": "the servers of a Service are in its EndpointSlices (discovery.k8s.io/v1)",
    "WorkloadEntry": "servers outside Kubernetes are a Backend (mediastreamingmesh.io/v1alpha1)",
}


def instead_of(kind: str) -> str:
    """`: …`, what to write in place of a document of this kind; empty for kinds that mean nothing here either."""
    return f": {_INSTEAD[kind]}" if kind in _INSTEAD else ""
