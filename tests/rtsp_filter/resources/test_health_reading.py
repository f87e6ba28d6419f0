"""A check by DESCRIBE is said in the one place that Envoy's API has for checks of others."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from google.protobuf import json_format

from rtsp_filter.balancing import HealthCheck, Probe
from rtsp_filter.resources.health_reading import read_health_check

STRUCT = "type.googleapis.com/google.protobuf.Struct"
NAME = "mediastreamingmesh.io/rtsp"


def _read(custom: dict[str, Any]) -> HealthCheck:
    times = {"timeout": "1s", "interval": "5s", "unhealthy_threshold": 3, "healthy_threshold": 2}
    cluster = {"health_checks": [{**times, "custom_health_check": {"name": NAME, **custom}}]}
    check = read_health_check(json_format.ParseDict(cluster, cluster_pb2.Cluster()))
    assert check is not None
    return check


def _struct(value: dict[str, Any]) -> dict[str, Any]:
    return {"typed_config": {"@type": STRUCT, "value": value}}


def test_without_more_it_is_options() -> None:
    assert _read({}).probe is Probe.OPTIONS


def test_describe_has_a_path_and_codecs_or_neither() -> None:
    found = _read(_struct({"describe": {"path": "/a", "codecs": ["video/H264", "audio/PCMU"]}}))
    assert (found.probe, found.path, found.codecs) == (Probe.DESCRIBE, "/a", ("video/H264", "audio/PCMU"))
    found = _read(_struct({"describe": {}}))
    assert (found.probe, found.path, found.codecs) == (Probe.DESCRIBE, "/", ())


def test_people_are_told_what_is_asked() -> None:
    assert str(_read({})) == "by OPTIONS every 5 s"
    assert str(_read(_struct({"describe": {"codecs": ["video/H264"]}}))) == "by DESCRIBE with video/H264 every 5 s"


@pytest.mark.parametrize(
    ("custom", "expected"),
    [
        ({"typed_config": {"@type": "type.googleapis.com/google.protobuf.Value", "value": True}}, "only a Struct"),
        (_struct({}), "only describe"),
        (_struct({"describe": "yes"}), "only describe"),
        (_struct({"describe": {}, "options": {}}), "only describe"),
        (_struct({"describe": {"codec": []}}), r"describe\.codec is not supported"),
        (_struct({"describe": {"path": "a"}}), r"describe\.path must be a path"),
        (_struct({"describe": {"path": 1}}), r"describe\.path must be a path"),
        (_struct({"describe": {"codecs": "video/H264"}}), r"describe\.codecs must be like"),
        (_struct({"describe": {"codecs": ["H264"]}}), r"describe\.codecs must be like"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(custom: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        _read(custom)
