"""What a mirror's fraction means with Envoy it means with us, but for chance, of which we have none."""

from __future__ import annotations

from collections import Counter
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
from envoy.config.route.v3 import route_pb2
from google.protobuf import json_format

from rtsp_filter.routes.mirrors import Mirror
from rtsp_filter.routes.table import RouteRequest, read_virtual_hosts
from tests.peers.process import wait_until
from tests.peers.routing_envoy import RoutingEnvoy

pytestmark = pytest.mark.integration

REQUESTS = 200
# So many standard deviations are met once in a million.
SPREAD = 5
WAIT_SECONDS = 10.0
# A route for each; the last one mirrors all, so that when its mirrors have come those of the others have too.
PARTS: tuple[tuple[int, str] | None, ...] = (
    (0, "HUNDRED"),
    (25, "HUNDRED"),
    (2_500, "TEN_THOUSAND"),
    (250_000, "MILLION"),
    (150, "HUNDRED"),
    None,
)


def _route(number: int, part: tuple[int, str] | None) -> dict[str, Any]:
    policy: dict[str, Any] = {"cluster": "new"}
    if part is not None:
        policy["runtime_fraction"] = {"default_value": {"numerator": part[0], "denominator": part[1]}}
    action = {"cluster": "old", "prefix_rewrite": f"/new{number}", "request_mirror_policies": [policy]}
    return {"name": str(number), "match": {"path_separated_prefix": f"/{number}"}, "route": action}


def test_as_many_are_mirrored_by_the_rewritten_path(tmp_path: Path) -> None:
    hosts = [{"name": "any", "domains": ["*"], "routes": [_route(*each) for each in enumerate(PARTS)]}]
    configuration = json_format.ParseDict({"name": "rtsp", "virtual_hosts": hosts}, route_pb2.RouteConfiguration())
    (virtual_host,) = read_virtual_hosts(configuration)
    with RoutingEnvoy(configuration, ["old", "new"], tmp_path) as envoy:
        for number in range(len(PARTS)):
            for _ in range(REQUESTS):
                envoy.routed(RouteRequest(host="h", path=f"/{number}/a?b=c", method="GET"))
        last = f"/new{len(PARTS) - 1}/a?b=c"
        wait_until(lambda: Counter(envoy.mirrored)[last] == REQUESTS, WAIT_SECONDS, "all mirrors")
        found = Counter(envoy.mirrored)
    for number, route in enumerate(virtual_host.routes):
        (mirror,) = route.mirrors
        assert _is_likely(found.pop(f"{route.rewritten(f'/{number}/a')}?b=c", 0), mirror), number
    assert not found


def _is_likely(mirrored: int, mirror: Mirror) -> bool:
    part = mirror.numerator / mirror.denominator
    return abs(mirrored - part * REQUESTS) <= SPREAD * sqrt(part * (1 - part) * REQUESTS)
