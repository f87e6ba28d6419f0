"""The SPIFFE IDs of the mesh's own parts, and what each of them may be.

The template names them, so nobody keeps a list of identities: whoever proves `…/sa/rtsp-proxy` is an RTSP proxy. With
one service account for all proxies of a kind, as in Kubernetes, any of them may have any node id of that kind; whoever
wants more gives a proxy an account that ends with its node id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from mesh.identity.spiffe_ids import IdTemplate

DEFAULT_NAMESPACE = "msm"
"""Where the mesh's own parts are, unless told otherwise."""


class Part(Enum):
    """The parts of the mesh that have identities of their own; the value is the service account."""

    CONTROL_PLANE = "control-plane"
    RTSP_PROXY = "rtsp-proxy"
    MEDIA_PROXY = "media-proxy"
    GATEWAY_PROXY = "gateway-proxy"
    """An Envoy that carries gateways and no media of RTSP sessions."""
    OPERATOR = "operator"
    """People and programs that may change the mesh, by REST."""


# What each part may be at the xDS server, by node cluster. A media proxy carries all gateways anyway.
_CLUSTERS: Mapping[Part, frozenset[str]] = {
    Part.RTSP_PROXY: frozenset({"msm-rtsp"}),
    Part.MEDIA_PROXY: frozenset({"msm-media", "msm-gateway"}),
    Part.GATEWAY_PROXY: frozenset({"msm-gateway"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshIds:
    """The SPIFFE IDs of the mesh's own parts, which are all in one namespace of one trust domain.

    Raises ValueError where either cannot be part of a SPIFFE ID.
    """

    trust_domain: str
    template: IdTemplate = field(default_factory=IdTemplate)
    namespace: str = DEFAULT_NAMESPACE

    def __post_init__(self) -> None:
        self.id_of(Part.CONTROL_PLANE)

    def id_of(self, part: Part, node_id: str | None = None) -> str:
        """The SPIFFE ID of a part, or of the one proxy with this node id: `…/sa/rtsp-proxy`, `…/sa/rtsp-proxy.edge-1`.

        Raises ValueError where a node id cannot be part of a SPIFFE ID.
        """
        account = part.value if node_id is None else f"{part.value}.{node_id}"
        return self.template.id_of(trust_domain=self.trust_domain, namespace=self.namespace, service_account=account)

    def may_claim(self, spiffe_id: str, node_id: str, cluster: str) -> bool:
        """Whether who proves `spiffe_id` may be the proxy `node_id` of a node cluster (config.core.v3.Node).

        The service account says which kind of proxy it is; one that ends with a node id is for that node alone.
        """
        parts = [part for part, clusters in _CLUSTERS.items() if cluster in clusters]
        return any(spiffe_id == self.id_of(part) or spiffe_id == self._id_of_node(part, node_id) for part in parts)

    def _id_of_node(self, part: Part, node_id: str) -> str | None:
        try:
            return self.id_of(part, node_id) if node_id else None
        except ValueError:
            return None  # a node id with a slash, say: only the account for all nodes of its kind will do
