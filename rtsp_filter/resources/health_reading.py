"""What a Cluster says of its endpoints' health: active checks, and what to do about those that fail.

A check by RTSP has no field of its own in Envoy's API, which has a place for checks by others: `custom_health_check`,
here with the name `mediastreamingmesh.io/rtsp`. It asks OPTIONS; any answer below 500 is a good one, because a camera
that wants a password is well. With a Struct as its configuration, `describe: {path: …, codecs: […]}`, it asks DESCRIBE,
and the codecs have to be offered. `tcp_health_check` without payloads only opens a connection.

Envoy API: config.core.v3.HealthCheck, config.cluster.v3.OutlierDetection.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format, struct_pb2

from mesh.model import GROUP
from rtsp_filter.balancing import HealthCheck, OutlierDetection, Probe
from rtsp_filter.resources.reading import only

RTSP_HEALTH_CHECK = f"{GROUP}/rtsp"

_CHECK_FIELDS = {
    "timeout",
    "interval",
    "unhealthy_threshold",
    "healthy_threshold",
    "custom_health_check",
    "tcp_health_check",
}
# What is enforced always needs no chance; other detectors than the one by failures in a row are refused.
_OUTLIER_FIELDS = {
    "consecutive_5xx",
    "interval",
    "base_ejection_time",
    "max_ejection_time",
    "max_ejection_percent",
    "enforcing_consecutive_5xx",
    "enforcing_success_rate",
    "enforcing_consecutive_gateway_failure",
}
_MUST_BE = {
    "enforcing_consecutive_5xx": (100, "failures in a row are always enforced"),
    "enforcing_success_rate": (0, "success rates are not looked at"),
    "enforcing_consecutive_gateway_failure": (0, "all failures are of one kind"),
}


def read_health_check(cluster: Any) -> HealthCheck | None:
    """The active check of a Cluster. Raises ValueError for what cannot be honoured."""
    if len(cluster.health_checks) > 1:
        raise ValueError("Cluster.health_checks: more than one is not supported")
    return next((_health_check(check) for check in cluster.health_checks), None)


def read_outliers(cluster: Any) -> OutlierDetection | None:
    """The outlier detection of a Cluster. Raises ValueError for what cannot be honoured."""
    if not cluster.HasField("outlier_detection"):
        return None
    found = cluster.outlier_detection
    only(found, _OUTLIER_FIELDS)
    for name, (value, reason) in _MUST_BE.items():
        if found.HasField(name) and getattr(found, name).value != value:
            raise ValueError(f"OutlierDetection.{name} must be {value}: {reason}")
    defaults = OutlierDetection()
    base = _seconds(found, "base_ejection_time", defaults.base_ejection)
    return OutlierDetection(
        consecutive_failures=_number(found, "consecutive_5xx", defaults.consecutive_failures),
        interval=_seconds(found, "interval", defaults.interval),
        base_ejection=base,
        max_ejection=max(base, _seconds(found, "max_ejection_time", defaults.max_ejection)),
        max_percent=_number(found, "max_ejection_percent", defaults.max_percent),
    )


def _health_check(check: Any) -> HealthCheck:
    only(check, _CHECK_FIELDS)
    return HealthCheck(
        **_probe(check),
        interval=_seconds(check, "interval", None),
        timeout=_seconds(check, "timeout", None),
        healthy_threshold=_number(check, "healthy_threshold", None),
        unhealthy_threshold=_number(check, "unhealthy_threshold", None),
    )


def _probe(check: Any) -> dict[str, Any]:
    """What is asked: fields of HealthCheck."""
    if check.HasField("tcp_health_check"):
        only(check.tcp_health_check, set())
        return {"probe": Probe.CONNECT}
    if check.custom_health_check.name != RTSP_HEALTH_CHECK:
        raise ValueError(
            f"HealthCheck: only tcp_health_check and custom_health_check {RTSP_HEALTH_CHECK} are supported"
        )
    only(check.custom_health_check, {"name", "typed_config"})
    if not check.custom_health_check.HasField("typed_config"):
        return {"probe": Probe.OPTIONS}
    return {"probe": Probe.DESCRIBE, **_describe(check.custom_health_check.typed_config)}


def _describe(config: Any) -> dict[str, Any]:
    said = struct_pb2.Struct()
    if not config.Unpack(said):
        raise ValueError(f"CustomHealthCheck.typed_config {config.type_url} is not supported: only a Struct")
    found = json_format.MessageToDict(said)
    describe = found.pop("describe", None)
    if found or not isinstance(describe, dict):
        raise ValueError("CustomHealthCheck.typed_config: only describe, with fields of its own, is supported")
    path, codecs = describe.pop("path", "/"), describe.pop("codecs", [])
    if describe:
        raise ValueError(f"CustomHealthCheck.typed_config: describe.{next(iter(describe))} is not supported")
    if not isinstance(path, str) or not path.startswith("/"):
        raise ValueError("CustomHealthCheck.typed_config: describe.path must be a path")
    if not isinstance(codecs, list) or not all(isinstance(codec, str) and "/" in codec for codec in codecs):
        raise ValueError('CustomHealthCheck.typed_config: describe.codecs must be like "video/H264"')
    return {"path": path, "codecs": tuple(codecs)}


def _seconds(message: Any, name: str, default: float | None) -> float:
    if not message.HasField(name) and default is not None:
        return default
    seconds = float(getattr(message, name).ToNanoseconds() / 1e9)
    if seconds <= 0:
        raise ValueError(f"{message.DESCRIPTOR.name}.{name} must be longer than nothing")
    return seconds


def _number(message: Any, name: str, default: int | None) -> int:
    if not message.HasField(name) and default is not None:
        return default
    number = int(getattr(message, name).value)
    if number < 1:
        raise ValueError(f"{message.DESCRIPTOR.name}.{name} must be 1 or more")
    return number
