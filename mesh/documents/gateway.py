"""Gateway API's `Gateway` (gateway.networking.k8s.io/v1): ports on which the mesh takes UDP and TCP.

Every documented field is declared, or listed as not supported yet, so that it is refused by name.
"""

from __future__ import annotations

from enum import Enum
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mesh.documents.base import DocumentModel, LabelText, ObjectMeta, ObjectNameText, Port
from mesh.documents.kubernetes import Unused
from mesh.gateways import RouteNamespaces, TransportProtocol

GroupText = Literal["gateway.networking.k8s.io"]

# Bounds of Gateway API.
MAX_LISTENERS = 64
MAX_ADDRESSES = 16
MAX_KINDS = 8

# Fields of Gateway that are not here; "[]" stands for any index.
NOT_YET_FIELDS = frozenset(
    {
        "spec.allowedListeners",
        "spec.backendTLS",
        "spec.defaultScope",
        "spec.tls",
        "spec.listeners[].hostname",
        "spec.listeners[].tls",
        "spec.listeners[].allowedRoutes.namespaces.selector",
    }
)
# Values of enumerations, by the name of their field.
NOT_YET_VALUES = {
    "protocol": frozenset({"HTTP", "HTTPS", "TLS"}),
    "from": frozenset({"Selector", "None"}),
    "type": frozenset({"Hostname", "NamedAddress"}),
}


def _ip_address(value: str) -> str:
    """`value`, if it is an IP address; ValueError otherwise."""
    try:
        return str(ip_address(value))
    except ValueError:
        raise ValueError(f'"{value}" is not an IP address') from None


class GatewayAddressType(Enum):
    """What an address of a gateway is."""

    IP_ADDRESS = "IPAddress"


class GatewayAddress(DocumentModel):
    """An address that the listeners are on."""

    type: GatewayAddressType = Field(default=GatewayAddressType.IP_ADDRESS, description="IPAddress.")
    value: Annotated[str, AfterValidator(_ip_address)] = Field(
        description="An address of the machine that Envoy runs on; 0.0.0.0 and :: stand for all."
    )


class RouteKind(DocumentModel):
    """A kind of route."""

    group: Literal["gateway.networking.k8s.io"] = Field(
        default="gateway.networking.k8s.io", description="Group of the kind."
    )
    kind: str = Field(description="UDPRoute for protocol UDP, TCPRoute for protocol TCP.")


class AllowedNamespaces(DocumentModel):
    """Namespaces whose routes a listener takes."""

    from_: RouteNamespaces = Field(
        default=RouteNamespaces.SAME, alias="from", description="Same: the gateway's own; All: any."
    )


class AllowedRoutes(DocumentModel):
    """Routes that a listener takes."""

    namespaces: AllowedNamespaces = Field(default=AllowedNamespaces(), description="Their namespaces.")
    kinds: tuple[RouteKind, ...] = Field(
        default=(), max_length=MAX_KINDS, description="Their kinds; by default the one of the listener's protocol."
    )


class GatewayListener(DocumentModel):
    """A port of the gateway."""

    name: ObjectNameText = Field(description="Name, unique in the gateway.")
    protocol: TransportProtocol = Field(description="UDP or TCP.")
    port: Port = Field(description="The port that clients send to.")
    allowed_routes: AllowedRoutes = Field(default=AllowedRoutes(), description="Routes that it takes.")


class GatewaySpec(DocumentModel):
    """Ports and addresses."""

    gateway_class_name: ObjectNameText = Field(description="media-streaming-mesh.")
    listeners: tuple[GatewayListener, ...] = Field(min_length=1, max_length=MAX_LISTENERS, description="The ports.")
    addresses: tuple[GatewayAddress, ...] = Field(
        default=(), max_length=MAX_ADDRESSES, description="Where they are; by default the mesh's --media-address."
    )
    infrastructure: Unused


class Gateway(DocumentModel):
    """Ports on which the mesh takes UDP and TCP."""

    api_version: Literal["gateway.networking.k8s.io/v1"] = Field(
        default="gateway.networking.k8s.io/v1", description="Group and version of this kind."
    )
    kind: Literal["Gateway"] = Field(default="Gateway", description="Gateway.")
    metadata: ObjectMeta = Field(description="Name and namespace.")
    spec: GatewaySpec = Field(description="Ports and addresses.")
    status: Unused


class ParentReference(DocumentModel):
    """A gateway that a route attaches to."""

    group: Literal["gateway.networking.k8s.io"] = Field(
        default="gateway.networking.k8s.io", description="Group of Gateway."
    )
    kind: Literal["Gateway"] = Field(default="Gateway", description="Gateway.")
    namespace: LabelText | None = Field(default=None, description="Its namespace; by default the route's.")
    name: ObjectNameText = Field(description="Its name.")
    section_name: ObjectNameText | None = Field(default=None, description="One listener; by default all that fit.")
    port: Port | None = Field(default=None, description="The listener of this port.")
