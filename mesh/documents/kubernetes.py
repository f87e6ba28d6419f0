"""Kubernetes' `Service` (v1) and `EndpointSlice` (discovery.k8s.io/v1), as they are.

Every documented field is declared: what a cluster prints can be used as a file, and a misspelt field is still found.
Fields without a meaning for the mesh are accepted as they come (`Unused`).
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import Field

from mesh.documents.base import AddressText, DocumentModel, ObjectMeta, Port

# The label by which an EndpointSlice says whose endpoints it holds.
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
# Bounds of the Kubernetes API.
MAX_SLICE_ENDPOINTS = 1000
MAX_SLICE_PORTS = 20_000
MAX_ADDRESSES = 100

Unused = Annotated[Any, Field(default=None, description="Accepted, without a meaning for the mesh.")]


class Protocol(Enum):
    """Transport protocol of a port."""

    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"


class ServicePort(DocumentModel):
    """A port of a Service."""

    name: str = Field(default="", max_length=63, description="Name; EndpointSlices use it to say which port.")
    port: Port = Field(description="The port that routes name.")
    protocol: Protocol = Field(default=Protocol.TCP, description="Transport protocol; RTSP needs TCP.")
    app_protocol: Unused
    node_port: Unused
    target_port: Unused


class ServiceType(Enum):
    """How a Service is published (Kubernetes, ServiceSpec.type)."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"
    EXTERNAL_NAME = "ExternalName"


class IPFamily(Enum):
    """An IP version, spelt as `AddressType` spells it."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"


class ServiceSpec(DocumentModel):
    """Kubernetes' ServiceSpec."""

    type: ServiceType = Field(default=ServiceType.CLUSTER_IP, description="How the Service is published.")
    ports: tuple[ServicePort, ...] = Field(default=(), description="Ports; each one is a backend of its own.")
    external_name: AddressText | None = Field(default=None, description="Host name, for type ExternalName.")
    allocate_load_balancer_node_ports: Unused
    cluster_ip: Any = Field(default=None, alias="clusterIP", description="Accepted, without a meaning for the mesh.")
    cluster_ips: Any = Field(default=None, alias="clusterIPs", description="Accepted, without a meaning for the mesh.")
    external_ips: Any = Field(
        default=None, alias="externalIPs", description="Accepted, without a meaning for the mesh."
    )
    external_traffic_policy: Unused
    health_check_node_port: Unused
    internal_traffic_policy: Unused
    ip_families: tuple[IPFamily, ...] = Field(
        default=(), max_length=2, description="Families of the Service; the first one's endpoints are used."
    )
    ip_family_policy: Unused
    load_balancer_class: Unused
    load_balancer_ip: Any = Field(
        default=None, alias="loadBalancerIP", description="Accepted, without a meaning for the mesh."
    )
    load_balancer_source_ranges: Unused
    publish_not_ready_addresses: Unused
    selector: Unused
    session_affinity: Unused
    session_affinity_config: Unused
    traffic_distribution: Unused


class Service(DocumentModel):
    """A Kubernetes Service; its endpoints are in EndpointSlices."""

    api_version: Literal["v1"] = Field(default="v1", description="Version of this kind.")
    kind: Literal["Service"] = Field(default="Service", description="Service.")
    metadata: ObjectMeta = Field(description="Name and namespace.")
    spec: ServiceSpec = Field(default_factory=lambda: ServiceSpec.model_validate({}), description="The ports.")
    status: Unused


class EndpointConditions(DocumentModel):
    """State of an endpoint; what is left out counts as Kubernetes says."""

    ready: bool | None = Field(default=None, description="May be given new sessions; unknown counts as ready.")
    serving: bool | None = Field(default=None, description="Works, even if going away; unknown counts as `ready`.")
    terminating: bool | None = Field(default=None, description="Is going away; unknown counts as false.")


class ObjectReference(DocumentModel):
    """The object behind an endpoint, normally a Pod."""

    name: str | None = Field(default=None, description="Its name, which names the endpoint in the mesh too.")
    api_version: Unused
    field_path: Unused
    kind: Unused
    namespace: Unused
    resource_version: Unused
    uid: Unused


class SliceEndpoint(DocumentModel):
    """One server."""

    addresses: tuple[AddressText, ...] = Field(
        min_length=1, max_length=MAX_ADDRESSES, description="The first is used; Kubernetes gives others no meaning."
    )
    conditions: EndpointConditions = Field(default=EndpointConditions(), description="State of the endpoint.")
    target_ref: ObjectReference | None = Field(default=None, description="The object behind the endpoint.")
    deprecated_topology: Unused
    hints: Unused
    hostname: Unused
    node_name: Unused
    zone: Unused


class SlicePort(DocumentModel):
    """A port that every endpoint of the slice serves."""

    name: str = Field(default="", max_length=63, description="Name of the Service's port.")
    port: Port | None = Field(default=None, description="Port number; none means all ports.")
    protocol: Protocol = Field(default=Protocol.TCP, description="Transport protocol.")
    app_protocol: Unused


class AddressType(Enum):
    """What the addresses of a slice are."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"
    FQDN = "FQDN"


class EndpointSlice(DocumentModel):
    """Some of the endpoints of a Service, which its label `kubernetes.io/service-name` names."""

    api_version: Literal["discovery.k8s.io/v1"] = Field(
        default="discovery.k8s.io/v1", description="Group and version of this kind."
    )
    kind: Literal["EndpointSlice"] = Field(default="EndpointSlice", description="EndpointSlice.")
    metadata: ObjectMeta = Field(description="Name, namespace and the label that names the Service.")
    address_type: AddressType = Field(description="IPv4, IPv6 or FQDN.")
    endpoints: tuple[SliceEndpoint, ...] = Field(default=(), max_length=MAX_SLICE_ENDPOINTS, description="The servers.")
    ports: tuple[SlicePort, ...] = Field(default=(), max_length=MAX_SLICE_PORTS, description="Their ports.")
