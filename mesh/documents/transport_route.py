"""Gateway API's `UDPRoute` and `TCPRoute`: which backends are behind the listeners of a gateway.

Both are of version v1 since Gateway API 1.6 and were v1alpha2 before; the fields are the same.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mesh.documents.backend_refs import BackendRef
from mesh.documents.base import DocumentModel, LabelText, ObjectMeta
from mesh.documents.gateway import ParentReference
from mesh.documents.kubernetes import Unused
from mesh.documents.rtsp_route import MAX_BACKEND_REFS
from mesh.gateways import TransportProtocol

# Bounds of Gateway API.
MAX_PARENTS = 32
MAX_RULES = 16

# Fields of UDPRoute and TCPRoute that are not here.
NOT_YET_FIELDS = frozenset({"spec.useDefaultGateways"})


class TransportRule(DocumentModel):
    """Where sessions go."""

    name: LabelText | None = Field(default=None, description="Name of the rule.")
    backend_refs: tuple[BackendRef, ...] = Field(
        min_length=1, max_length=MAX_BACKEND_REFS, description="The backends, with their shares of the sessions."
    )


class TransportRouteSpec(DocumentModel):
    """What a route decides."""

    parent_refs: tuple[ParentReference, ...] = Field(
        min_length=1, max_length=MAX_PARENTS, description="The gateways whose listeners it is behind."
    )
    rules: tuple[TransportRule, ...] = Field(min_length=1, max_length=MAX_RULES, description="One rule.")


class TransportRouteDocument(DocumentModel):
    """What UDPRoute and TCPRoute have in common."""

    metadata: ObjectMeta = Field(description="Name and namespace.")
    spec: TransportRouteSpec = Field(description="Gateways and backends.")
    status: Unused

    @property
    def protocol(self) -> TransportProtocol:
        """What it is a route of."""
        return TransportProtocol.UDP if isinstance(self, UDPRoute) else TransportProtocol.TCP


class UDPRoute(TransportRouteDocument):
    """Which backends UDP sessions of a gateway go to."""

    api_version: Literal["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha2"] = Field(
        default="gateway.networking.k8s.io/v1", description="Group and version of this kind."
    )
    kind: Literal["UDPRoute"] = Field(default="UDPRoute", description="UDPRoute.")


class TCPRoute(TransportRouteDocument):
    """Which backends TCP connections of a gateway go to."""

    api_version: Literal["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha2"] = Field(
        default="gateway.networking.k8s.io/v1", description="Group and version of this kind."
    )
    kind: Literal["TCPRoute"] = Field(default="TCPRoute", description="TCPRoute.")
