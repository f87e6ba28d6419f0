"""Rules of Gateway, UDPRoute, TCPRoute and MediaPolicy that span several fields of one document."""

from __future__ import annotations

from collections.abc import Iterator

from mesh.documents.findings import Finding, check_namespace, check_ref, check_refs, repeated
from mesh.documents.gateway import Gateway, GatewayListener
from mesh.documents.media_policy import CanarySpec, HealthProbe, MediaPolicy, seconds
from mesh.documents.problems import FieldPath
from mesh.documents.transport_route import TransportRouteDocument
from mesh.gateways import GATEWAY_CLASS, ProbeProtocol, TargetKind
from mesh.objects import GROUP

GATEWAY_GROUP = "gateway.networking.k8s.io"


def check_gateway(gateway: Gateway) -> Iterator[Finding]:
    """A class that is ours, names that tell listeners apart, kinds of routes that fit."""
    if gateway.spec.gateway_class_name != GATEWAY_CLASS:
        yield ("spec", "gatewayClassName"), f'the class of gateways here is "{GATEWAY_CLASS}"'
    at = ("spec", "listeners")
    yield from repeated((listener.name for listener in gateway.spec.listeners), at)
    for index, listener in enumerate(gateway.spec.listeners):
        yield from _check_kinds(listener, (*at, index, "allowedRoutes", "kinds"))
    addresses = [address.value for address in gateway.spec.addresses]
    for index, address in enumerate(addresses):
        if address in addresses[:index]:
            yield ("spec", "addresses", index, "value"), "this address is there already"


def _check_kinds(listener: GatewayListener, at: FieldPath) -> Iterator[Finding]:
    wanted = f"{listener.protocol.value}Route"
    for index, kind in enumerate(listener.allowed_routes.kinds):
        if kind.kind != wanted:
            yield (*at, index, "kind"), f"a listener of protocol {listener.protocol.value} takes {wanted}, nothing else"


def check_transport_route(route: TransportRouteDocument) -> Iterator[Finding]:
    """One rule, backends of the route's own namespace."""
    for index, rule in enumerate(route.spec.rules):
        at = ("spec", "rules", index)
        if index > 0:
            yield at, f"a second rule would never be used: {route.protocol.value} has nothing to tell sessions apart by"
        yield from check_refs(rule.backend_refs, (*at, "backendRefs"))
        for position, ref in enumerate(rule.backend_refs):
            yield from check_namespace(ref, route.metadata.namespace, (*at, "backendRefs", position))


def check_policy(policy: MediaPolicy) -> Iterator[Finding]:
    """Fields that need or exclude each other."""
    spec = policy.spec
    for index, target in enumerate(spec.target_refs):
        group = GROUP if target.kind.is_rtsp else GATEWAY_GROUP
        if target.group not in (None, group):
            yield ("spec", "targetRefs", index, "group"), f"{target.kind.value} is of the group {group}"
        if target.section_name is not None and target.kind is not TargetKind.GATEWAY:
            message = f"only a Gateway has sections; leave this field out for a {target.kind.value}"
            yield ("spec", "targetRefs", index, "sectionName"), message
    if spec.health_check is not None:
        yield from _check_probe(spec.health_check)
    if spec.canary is not None:
        yield from _check_canary(spec.canary)
    log = spec.access_log
    if log is not None and (log.type == "File") is (log.path is None):
        message = 'type File needs the field "path"' if log.path is None else "goes with type File"
        yield ("spec", "accessLog") if log.path is None else ("spec", "accessLog", "path"), message


def _check_probe(probe: HealthProbe) -> Iterator[Finding]:
    if probe.path is not None and probe.type is not ProbeProtocol.HTTP:
        yield ("spec", "healthCheck", "path"), "goes with type HTTP"
    if probe.describe is not None and probe.type is not ProbeProtocol.RTSP:
        yield ("spec", "healthCheck", "describe"), "goes with type RTSP"
    if seconds(probe.timeout) > seconds(probe.interval):
        yield ("spec", "healthCheck", "timeout"), "is longer than the interval between probes"


def _check_canary(canary: CanarySpec) -> Iterator[Finding]:
    yield from check_ref(canary.backend_ref, ("spec", "canary", "backendRef"))
    for index in range(1, len(canary.steps)):
        if canary.steps[index] <= canary.steps[index - 1]:
            yield ("spec", "canary", "steps", index), "each step is more than the one before"
