"""Gateways as the API tells of them: each listener, where its sessions go, and how far every proxy is with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field

from api import views
from api.models import ApiModel, BackendShare, ProxyKind
from mesh import gateways as mesh_model
from mesh.attachments import Attachment
from mesh.gateways import Algorithm, OnBackendChange, TransportProtocol
from mesh.objects import ObjectName
from xds_server.client_status import statuses_of
from xds_server.compile.gateways import resource_name
from xds_server.control_plane import ControlPlane
from xds_server.subscription import ConnectedProxy, ResourceStatus, SyncState

# From the best to the worst: a listener is as far as the worst of its resources.
_ORDER = (SyncState.SYNCED, SyncState.SENT, SyncState.STALE, SyncState.NOT_SENT, SyncState.REJECTED)


class SessionPolicy(ApiModel):
    """How a listener's sessions are treated: policies and defaults together. Times are in seconds."""

    algorithm: Algorithm = Field(description="How the backend of a new session is chosen.")
    per_packet: bool = Field(description="Whether every datagram is balanced, not every session.")
    idle_timeout: float = Field(description="How long a silent session lasts.", json_schema_extra={"unit": "s"})
    max_duration: float | None = Field(
        description="How long any session lasts; null: no limit.", json_schema_extra={"unit": "s"}
    )
    on_backend_change: OnBackendChange = Field(description="What becomes of sessions whose backend is leaving.")
    max_sessions: int = Field(description="Sessions at once in one proxy.")
    health_check: bool = Field(description="Whether endpoints are probed.")
    access_log: str | None = Field(description="File of the proxy with a line for each session, or stdout; null: none.")


class ListenerOnProxy(ApiModel):
    """A listener as one proxy has it."""

    id: str = Field(description="Node id of the proxy.")
    state: SyncState = Field(description="How far the proxy is with it: the worst of its resources.")
    error: str | None = Field(description="Why the proxy refused it, in the proxy's words; null if it did not.")


class GatewayListener(ApiModel):
    """A port of a gateway."""

    name: str = Field(description="Name of the listener, unique in its gateway.")
    protocol: TransportProtocol = Field(description="UDP or TCP.")
    port: int = Field(description="The port that clients send to.")
    route: str | None = Field(
        description="The UDPRoute or TCPRoute behind it, namespace/name; null: none, it is closed."
    )
    backends: tuple[BackendShare, ...] = Field(description="Where its sessions go.")
    policy: SessionPolicy | None = Field(description="How its sessions are treated; null without a route.")
    resource: str = Field(description="Name of its Envoy resources, and of its statistics.")
    proxies: tuple[ListenerOnProxy, ...] = Field(description="Connected proxies that get it.")


class Gateway(ApiModel):
    """Ports on which the mesh takes UDP and TCP."""

    namespace: str = Field(description="Namespace of the gateway.")
    name: str = Field(description="Name of the gateway, unique in its namespace.")
    addresses: tuple[str, ...] = Field(description="IP addresses that its listeners are on; wildcards mean all.")
    listeners: tuple[GatewayListener, ...] = Field(description="Its ports.")


_Attachments = Mapping[tuple[ObjectName, str], Attachment]
_Statuses = Mapping[str, list[tuple[str, ResourceStatus]]]


def gateways(plane: ControlPlane) -> Iterator[Gateway]:
    """All gateways, by name."""
    attachments = {(each.gateway.name, each.listener.name): each for each in plane.mesh.attachments}
    statuses = _statuses(plane, {resource_name(*key) for key in attachments})
    for name in sorted(plane.mesh.gateways):
        gateway = plane.mesh.gateways[name]
        yield Gateway(
            namespace=name.namespace,
            name=name.name,
            addresses=gateway.addresses or plane.settings.media.addresses,
            listeners=tuple(_listener(name, listener, attachments, statuses) for listener in gateway.listeners),
        )


def refusals(plane: ControlPlane) -> dict[str, int]:
    """How many listeners each proxy that carries gateways has refused, by node id. Costs nothing for each resource
    where nothing is refused."""
    names = {resource_name(each.gateway.name, each.listener.name) for each in plane.mesh.attachments}
    return {
        node_id: len(_refused(streams, names))
        for node_id, streams in sorted(views.streams_by_node(plane).items())
        if views.kind_of(streams[-1]) is not ProxyKind.RTSP
    }


def _listener(
    gateway: ObjectName, listener: mesh_model.Listener, attachments: _Attachments, statuses: _Statuses
) -> GatewayListener:
    attachment = attachments.get((gateway, listener.name))
    resource = resource_name(gateway, listener.name)
    return GatewayListener(
        name=listener.name,
        protocol=listener.protocol,
        port=listener.port,
        route=None if attachment is None else str(attachment.route.name),
        backends=() if attachment is None else tuple(_shares(attachment.route)),
        policy=None if attachment is None else _policy(attachment.policy),
        resource=resource,
        proxies=tuple(_proxies(statuses.get(resource, []))),
    )


def _shares(route: mesh_model.TransportRoute) -> Iterator[BackendShare]:
    total = sum(each.weight for each in route.backends)
    for each in route.backends:
        yield BackendShare(backend=str(each.backend), weight=each.weight, share=each.weight / total)


def _policy(policy: mesh_model.SessionPolicy) -> SessionPolicy:
    log = policy.access_log
    return SessionPolicy(
        algorithm=policy.algorithm,
        per_packet=policy.per_packet,
        idle_timeout=policy.idle_timeout,
        max_duration=policy.max_duration,
        on_backend_change=policy.on_backend_change,
        max_sessions=policy.max_sessions,
        health_check=policy.health_check is not None,
        access_log=None if log is None else log.path or "stdout",
    )


def _statuses(plane: ControlPlane, names: set[str]) -> _Statuses:
    """Of each name, and what is below it, the node ids that have something of it, with the statuses."""
    found: dict[str, list[tuple[str, ResourceStatus]]] = {}
    if names:
        for node_id, streams in sorted(views.streams_by_node(plane).items()):
            for status in statuses_of(streams):
                name = _listener_of(status, names)
                if name is not None:
                    found.setdefault(name, []).append((node_id, status))
    return found


def _listener_of(status: ResourceStatus, names: set[str]) -> str | None:
    """The one of the names that a resource has or is below."""
    return next((name for name in (status.name, status.name.rpartition("/")[0]) if name in names), None)


def _refused(streams: Sequence[ConnectedProxy], names: set[str]) -> set[str]:
    if not any(counts[SyncState.REJECTED] for counts in views.counts_by_type(streams).values()):
        return set()
    refused = (status for status in statuses_of(streams) if status.state is SyncState.REJECTED)
    return {name for status in refused if (name := _listener_of(status, names)) is not None}


def _proxies(statuses: list[tuple[str, ResourceStatus]]) -> Iterator[ListenerOnProxy]:
    by_proxy: dict[str, list[ResourceStatus]] = {}
    for node_id, status in statuses:
        by_proxy.setdefault(node_id, []).append(status)
    for node_id, found in by_proxy.items():
        worst = max(found, key=lambda status: _ORDER.index(status.state))
        yield ListenerOnProxy(id=node_id, state=worst.state, error=views.words(worst.error))
