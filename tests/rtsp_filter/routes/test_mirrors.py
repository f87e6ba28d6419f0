"""Which part of a route's sessions is mirrored, as Envoy's API says it, and what of that is refused."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.route.v3 import route_components_pb2
from google.protobuf import json_format

from rtsp_filter.routes.mirrors import Mirror, read_mirrors


def _read(*policies: dict[str, Any]) -> tuple[Mirror, ...]:
    action = {"cluster": "a", "request_mirror_policies": list(policies)}
    return read_mirrors(json_format.ParseDict(action, route_components_pb2.RouteAction()))


def _part(numerator: int, denominator: str = "HUNDRED") -> dict[str, Any]:
    part = {"default_value": {"numerator": numerator, "denominator": denominator}}
    return {"cluster": "b", "runtime_fraction": part}


def test_without_a_fraction_all_sessions_are_mirrored() -> None:
    assert _read({"cluster": "b"}) == (Mirror(cluster="b", numerator=100, denominator=100),)


@pytest.mark.parametrize(
    ("policy", "part"),
    [
        (_part(5), (5, 100)),
        (_part(0), (0, 100)),
        (_part(25, "TEN_THOUSAND"), (25, 10_000)),
        (_part(7, "MILLION"), (7, 1_000_000)),
        (_part(150), (100, 100)),
    ],
)
def test_a_fraction_is_what_envoy_takes_it_for(policy: dict[str, Any], part: tuple[int, int]) -> None:
    (mirror,) = _read(policy)
    assert (mirror.numerator, mirror.denominator) == part


def test_a_route_may_have_several() -> None:
    assert [mirror.cluster for mirror in _read({"cluster": "b"}, {"cluster": "c"})] == ["b", "c"]


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        ({"cluster_header": "x-to"}, "RequestMirrorPolicy.cluster_header"),
        ({}, "RequestMirrorPolicy.cluster is missing"),
        ({"cluster": "b", "runtime_fraction": {}}, "RuntimeFractionalPercent.default_value is missing"),
        ({"cluster": "b", "trace_sampled": True}, "RequestMirrorPolicy.trace_sampled"),
        ({"cluster": "b", "host_rewrite_literal": "h"}, "RequestMirrorPolicy.host_rewrite_literal"),
        (
            {"cluster": "b", "runtime_fraction": {"default_value": {}, "runtime_key": "k"}},
            "RuntimeFractionalPercent.runtime_key",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(policy: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        _read(policy)
