"""Which proxy gets what: a pure function of the mesh's settings and what the proxy says of itself.

  node cluster  and                                              gets
  msm-rtsp                                                       the routes of RTSP, their backends and secrets
  msm-media     the node id of the media proxy                   the media slots, and all gateways
  msm-gateway   nothing more                                     all gateways
  msm-gateway   metadata mediastreamingmesh.io: {gateway: a/b}   the gateway b of namespace a

Proxies of one scope have one cache, so the scope is all that tells what a proxy gets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from mesh.objects import GROUP, ObjectName
from xds_server.envoy.bootstrap import GATEWAY_CLUSTER, MEDIA_CLUSTER
from xds_server.subscription import Fault, Node, StreamError

# The node cluster of RTSP proxies, as MEDIA_CLUSTER is that of media proxies.
RTSP_CLUSTER = "msm-rtsp"
_GATEWAY_KEY = "gateway"
_NAME = re.compile(r"([-a-z0-9]{1,63})/([-.a-z0-9]{1,253})")


class ScopeKind(Enum):
    """Kinds of proxies, by what they get."""

    RTSP = "rtsp"
    MEDIA = "media"
    GATEWAYS = "gateways"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What some proxies get. `gateway` narrows GATEWAYS down to one."""

    kind: ScopeKind
    gateway: ObjectName | None = None


def scope_of(node: Node, *, media_node: str) -> Scope | None:
    """The scope of a node; None for one that gets nothing. Raises StreamError for a gateway that is no name."""
    if node.cluster == RTSP_CLUSTER:
        return Scope(kind=ScopeKind.RTSP)
    if node.cluster == MEDIA_CLUSTER and node.id == media_node:
        return Scope(kind=ScopeKind.MEDIA)
    if node.cluster == GATEWAY_CLUSTER:
        return Scope(kind=ScopeKind.GATEWAYS, gateway=_gateway_of(node))
    return None


def _gateway_of(node: Node) -> ObjectName | None:
    ours = node.metadata.get(GROUP)
    named = ours.get(_GATEWAY_KEY) if isinstance(ours, dict) else None
    if named is None:
        return None
    found = _NAME.fullmatch(named) if isinstance(named, str) else None
    if found is None:
        reason = f"node metadata {GROUP}: {_GATEWAY_KEY} is written namespace/name, not {named!r}"
        raise StreamError(Fault.INVALID_ARGUMENT, reason)
    return ObjectName(found[1], found[2])
