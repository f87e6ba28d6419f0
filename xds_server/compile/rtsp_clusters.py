"""What a policy says of a backend of RTSP → fields of its Cluster, which the RTSP proxy reads as Envoy would.

Envoy API: config.cluster.v3.Cluster, CircuitBreakers, OutlierDetection, config.core.v3.HealthCheck.
"""

from __future__ import annotations

from typing import Any

from envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2, outlier_detection_pb2
from envoy.config.core.v3 import health_check_pb2
from google.protobuf import struct_pb2

from mesh.gateways import Algorithm, Ejection, HealthCheck, OnBackendFailure, PolicySettings, ProbeProtocol
from mesh.objects import GROUP, MEDIA_SOURCE, ON_BACKEND_FAILURE

RTSP_HEALTH_CHECK = f"{GROUP}/rtsp"
"""The name under which an RTSP proxy knows a check by OPTIONS or, with a Struct that says what to describe, DESCRIBE:
Envoy's API has a place for checks of others."""
# With the least possible, all servers are tried when none is healthy: then the checks may be what is broken.
_PANIC_PERCENT = 1
# Enough for a hundred servers with even shares, and made in a hundredth of a second; Envoy's own 65,537 take five.
_MAGLEV_PLACES = 16_381

_ALGORITHMS = {
    Algorithm.ROUND_ROBIN: cluster_pb2.Cluster.ROUND_ROBIN,
    Algorithm.LEAST_REQUEST: cluster_pb2.Cluster.LEAST_REQUEST,
    Algorithm.RANDOM: cluster_pb2.Cluster.RANDOM,
    Algorithm.MAGLEV: cluster_pb2.Cluster.MAGLEV,
}


def set_policy(cluster: Any, policy: PolicySettings) -> None:
    """Write what the policy says."""
    if policy.algorithm is not None:
        cluster.lb_policy = _ALGORITHMS[policy.algorithm]
    if policy.algorithm is Algorithm.MAGLEV:
        cluster.maglev_lb_config.table_size.value = _MAGLEV_PLACES
    if policy.max_sessions is not None:
        limits = circuit_breaker_pb2.CircuitBreakers.Thresholds()
        limits.max_connections.value = policy.max_sessions
        cluster.circuit_breakers.thresholds.append(limits)
    if policy.ejection is not None:
        cluster.outlier_detection.CopyFrom(_outliers(policy.ejection))
    if policy.health_check is not None:
        cluster.health_checks.append(_health_check(policy.health_check))
    if policy.on_backend_failure is OnBackendFailure.MOVE:
        cluster.metadata.filter_metadata[GROUP].update({ON_BACKEND_FAILURE: policy.on_backend_failure.value})
    if policy.media_source is not None:
        cluster.metadata.filter_metadata[GROUP].update({MEDIA_SOURCE: policy.media_source.value})
    if policy.ejection is not None or policy.health_check is not None:
        cluster.common_lb_config.healthy_panic_threshold.value = _PANIC_PERCENT


def _outliers(ejection: Ejection) -> Any:
    detection = outlier_detection_pb2.OutlierDetection()
    detection.consecutive_5xx.value = ejection.failures
    detection.base_ejection_time.FromMilliseconds(round(ejection.base * 1000))
    detection.max_ejection_percent.value = ejection.max_percent
    # An RTSP proxy looks at failures in a row only, and takes no more upon itself.
    detection.enforcing_success_rate.value = 0
    return detection


def _health_check(check: HealthCheck) -> Any:
    message = health_check_pb2.HealthCheck()
    message.timeout.FromMilliseconds(round(check.timeout * 1000))
    message.interval.FromMilliseconds(round(check.interval * 1000))
    message.healthy_threshold.value = check.healthy_threshold
    message.unhealthy_threshold.value = check.unhealthy_threshold
    if check.protocol is ProbeProtocol.RTSP:
        message.custom_health_check.name = RTSP_HEALTH_CHECK
        if check.describe is not None:
            said = {"path": check.describe.path, "codecs": list(check.describe.codecs)}
            config = struct_pb2.Struct()
            config.update({"describe": said})
            message.custom_health_check.typed_config.Pack(config)
    else:
        message.tcp_health_check.SetInParent()
    return message
