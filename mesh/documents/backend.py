"""`Backend`: servers outside Kubernetes that stand in for each other."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mesh.documents.base import BASE_PATH, AddressText, DocumentModel, ObjectMeta, ObjectNameText, Port
from mesh.model import BackendTransport

# The default ports of URLs (RFC 7826, sections 4.2 and 22.14).
DEFAULT_RTSP_PORT = 554
DEFAULT_PORTS = {"rtsp": DEFAULT_RTSP_PORT, "rtsps": 322}
# One xDS assignment carries them all; far more cameras than one stream needs.
MAX_ENDPOINTS = 1000

BasePath = Annotated[str, Field(max_length=1024, pattern=BASE_PATH)]


class SecretRef(DocumentModel):
    """A Secret of the same namespace."""

    group: Literal[""] = Field(default="", description="API group of Secret: the core group, which is empty.")
    kind: Literal["Secret"] = Field(default="Secret", description="Secret.")
    name: ObjectNameText = Field(description="Name of the Secret.")


class BackendEndpoint(DocumentModel):
    """One server; all but name, address and port is for RTSP."""

    name: ObjectNameText = Field(description="Name, unique in the backend; what sessions and logs show.")
    address: AddressText = Field(description="IPv4 or IPv6 address, or host name.")
    port: Port = Field(
        default=DEFAULT_RTSP_PORT, description="Its port; UDPRoute and TCPRoute need one, the default is RTSP's."
    )
    path: BasePath = Field(
        default="",
        description="Put before every path asked of this server; a query in it is sent with every request.",
    )
    transport: BackendTransport = Field(
        default=BackendTransport.AUTO,
        description="How media travels from this server: udp, tcp (interleaved), http (RTSP over HTTP, a tunnel),"
        " multicast (to a group that it chooses), or auto: as the player asks, and by multicast where it refuses all"
        " else.",
    )
    credentials_ref: SecretRef | None = Field(
        default=None,
        description="A Secret of type kubernetes.io/basic-auth: what this server is told where it asks for a password.",
    )


class BackendSpec(DocumentModel):
    """What a backend is made of."""

    endpoints: tuple[BackendEndpoint, ...] = Field(
        min_length=1, max_length=MAX_ENDPOINTS, description="The servers; each session is given one of them."
    )


class Backend(DocumentModel):
    """Servers that stand in for each other, such as one camera or the replicas of a server."""

    api_version: Literal["mediastreamingmesh.io/v1alpha1"] = Field(
        default="mediastreamingmesh.io/v1alpha1", description="Group and version of this kind."
    )
    kind: Literal["Backend"] = Field(default="Backend", description="Backend.")
    metadata: ObjectMeta = Field(description="Name and namespace.")
    spec: BackendSpec = Field(description="The servers.")
