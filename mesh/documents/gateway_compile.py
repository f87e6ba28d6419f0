"""Gateways, their routes and policies: documents → objects of the mesh, and with its line what does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from mesh.attachments import attach
from mesh.canaries import canaries
from mesh.documents.gateway import Gateway, GatewayListener
from mesh.documents.kubernetes import Protocol
from mesh.documents.loaded import Documents, Loaded, Origin, object_name
from mesh.documents.media_policy import CanarySpec, EjectionSpec, HealthProbe, MediaPolicy, TargetRef, seconds
from mesh.documents.problems import DocumentProblem
from mesh.documents.services import referred, weighted_backends
from mesh.documents.transport_route import TCPRoute, TransportRouteDocument, UDPRoute
from mesh.gateways import (
    AccessLog,
    Canary,
    Described,
    Ejection,
    HealthCheck,
    Listener,
    LossLimit,
    ParentRef,
    PolicySettings,
    PolicyTarget,
    TransportRoute,
)
from mesh.gateways import Gateway as MeshGateway
from mesh.gateways import MediaPolicy as MeshPolicy
from mesh.objects import ObjectName
from mesh.rtsp_policies import rtsp_policies


def gateway_objects(documents: Documents) -> dict[str, Mapping[Any, Any]]:
    """Fields of the slice: gateways, transport_routes, policies."""
    gateways = (_gateway(item) for item in documents.of_kind(Gateway))
    udp_routes = (_route(item.document) for item in documents.of_kind(UDPRoute))
    tcp_routes = (_route(item.document) for item in documents.of_kind(TCPRoute))
    policies = (_policy(item.document) for item in documents.of_kind(MediaPolicy))
    routes = (*udp_routes, *tcp_routes)
    return {
        "gateways": MappingProxyType({gateway.name: gateway for gateway in gateways}),
        "transport_routes": MappingProxyType({(route.protocol, route.name): route for route in routes}),
        "policies": MappingProxyType({policy.name: policy for policy in policies}),
    }


def misfits(documents: Documents, objects: Mapping[str, Mapping[Any, Any]]) -> Iterator[DocumentProblem]:
    """What does not fit together of gateways, routes and policies: `objects` are fields of the slice."""
    loaded = {(item.document.kind, object_name(item.document)): item for item in documents.loaded}
    _, faults = attach(objects["gateways"], objects["transport_routes"], objects["policies"])
    _, rtsp_faults = rtsp_policies(objects["routes"], objects["backends"], objects["policies"])
    _, canary_faults = canaries(objects["routes"], objects["policies"])
    for fault in (*faults, *rtsp_faults, *canary_faults):
        yield loaded[fault.kind, fault.name].problem(fault.path, fault.message)


def _gateway(loaded: Loaded[Gateway]) -> MeshGateway:
    document = loaded.document
    return MeshGateway(
        name=object_name(document),
        listeners=tuple(_listener(each, loaded.origin, index) for index, each in enumerate(document.spec.listeners)),
        addresses=tuple(address.value for address in document.spec.addresses),
    )


def _listener(listener: GatewayListener, origin: Origin, index: int) -> Listener:
    return Listener(
        name=listener.name,
        protocol=listener.protocol,
        port=listener.port,
        namespaces=listener.allowed_routes.namespaces.from_,
        place=origin.place(("spec", "listeners", index, "port")),
    )


def _route(document: TransportRouteDocument) -> TransportRoute:
    metadata, spec = document.metadata, document.spec
    return TransportRoute(
        name=ObjectName(metadata.namespace, metadata.name),
        protocol=document.protocol,
        parents=tuple(
            ParentRef(
                gateway=ObjectName(parent.namespace or metadata.namespace, parent.name),
                listener=parent.section_name,
                port=parent.port,
            )
            for parent in spec.parent_refs
        ),
        backends=weighted_backends(spec.rules[0].backend_refs, metadata.namespace, Protocol(document.protocol.value)),
    )


def _policy(document: MediaPolicy) -> MeshPolicy:
    spec = document.spec
    return MeshPolicy(
        name=object_name(document),
        targets=tuple(_target(ref, document.metadata.namespace) for ref in spec.target_refs),
        settings=PolicySettings(
            algorithm=spec.balancing.algorithm,
            per_packet=spec.balancing.per_packet,
            idle_timeout=_seconds(spec.session.idle_timeout),
            max_duration=_seconds(spec.session.max_duration),
            on_backend_change=spec.session.on_backend_change,
            on_backend_failure=spec.session.on_backend_failure,
            media_source=spec.session.media_source,
            max_sessions=spec.limits.max_sessions,
            health_check=None if spec.health_check is None else _health_check(spec.health_check),
            ejection=None if spec.ejection is None else _ejection(spec.ejection),
            access_log=None if spec.access_log is None else AccessLog(path=spec.access_log.path),
            canary=None if spec.canary is None else _canary(spec.canary, document.metadata.namespace),
        ),
    )


def _target(ref: TargetRef, namespace: str) -> PolicyTarget:
    return PolicyTarget(kind=ref.kind, name=ObjectName(namespace, ref.name), listener=ref.section_name)


def _health_check(probe: HealthProbe) -> HealthCheck:
    describe = probe.describe
    return HealthCheck(
        protocol=probe.type,
        port=probe.port,
        path=probe.path or "/",
        interval=seconds(probe.interval),
        timeout=seconds(probe.timeout),
        healthy_threshold=probe.healthy_threshold,
        unhealthy_threshold=probe.unhealthy_threshold,
        describe=None if describe is None else Described(path=describe.path, codecs=describe.codecs),
    )


def _ejection(ejection: EjectionSpec) -> Ejection:
    return Ejection(failures=ejection.failures, base=seconds(ejection.base_time), max_percent=ejection.max_percent)


def _canary(canary: CanarySpec, namespace: str) -> Canary:
    loss = canary.loss
    return Canary(
        backend=referred(canary.backend_ref, namespace, Protocol.TCP),
        steps=canary.steps,
        interval=seconds(canary.interval),
        min_setups=canary.setups.minimum,
        max_failed=canary.setups.max_failed_percent / 100,
        loss=None
        if loss is None
        else LossLimit(
            sample_percent=loss.sample_percent,
            min_packets=loss.min_packets,
            max_lost=loss.max_lost_percent / 100,
        ),
    )


def _seconds(duration: str | None) -> float | None:
    return None if duration is None else seconds(duration)
