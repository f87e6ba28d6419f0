"""Metrics: the state at the time of the scrape."""

from __future__ import annotations

import re
from pathlib import Path

from mesh.model import Slice
from tests.api.measured import measured_plane
from tests.api.metrics import scrape
from tests.api.planes import RTSP_NODE, XdsPeer, busy_plane, empty_plane, report_media, routed_plane
from xds_server.resource_types import CLUSTER, ROUTE
from xds_server.scopes import RTSP_CLUSTER
from xds_server.subscription import Fault, Node


async def test_a_busy_mesh_shows_in_every_metric(connect):
    plane = busy_plane()
    values = await scrape(connect(plane))
    assert values["msm_ready",] == 1
    assert values["msm_routes",] == 1
    assert values["msm_backends",] == 2
    assert values["msm_source_refused", ("source", "files")] == 0
    assert values["msm_sessions", ("state", "playing"), ("transport", "udp")] == 1
    assert values["msm_sessions", ("state", "playing"), ("transport", "tcp")] == 0
    assert values["msm_relays", ("state", "ready")] == 1
    assert values["msm_relays", ("state", "opening")] == 0
    assert values["msm_slots", ("state", "open")] == 1
    assert sum(value for (name, *_), value in values.items() if name == "msm_slots") == plane.media.registry.pool.size
    assert values["msm_slots_capacity",] == 100
    assert values["msm_xds_streams", ("kind", "media")] == 1
    assert values["msm_xds_streams", ("kind", "rtsp")] == 1
    assert values["msm_relay_streams",] == 1
    assert values["msm_xds_resources", ("kind", "rtsp"), ("type", "cds")] == 2
    assert values["msm_proxy_resources", ("proxy", RTSP_NODE), ("state", "synced"), ("type", "rds")] == 1


async def test_what_the_media_proxy_counts_shows_in_sum(connect):
    plane = busy_plane()
    report_media(plane, packets=20, seconds=10.0)
    values = await scrape(connect(plane))
    assert values["msm_media_packets_total", ("direction", "received")] == 20
    assert values["msm_media_packets_total", ("direction", "sent")] == 20
    assert values["msm_media_sent_bytes_total",] == 2000
    assert values["msm_receiver_packets_total",] == 0
    assert values["msm_relays_activity", ("activity", "flowing")] == 1
    assert values["msm_relays_activity", ("activity", "silent")] == 0


async def test_an_empty_mesh_has_the_same_metrics_at_zero(connect):
    values = await scrape(connect(empty_plane()))
    assert values["msm_ready",] == 0
    assert values["msm_sessions", ("state", "playing"), ("transport", "udp")] == 0
    assert values["msm_xds_streams", ("kind", "media")] == 0
    assert values["msm_relays", ("state", "waiting")] == 0


async def test_every_metric_is_documented(connect):
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    values = await scrape(connect(measured_plane()))
    assert {name for name, *_ in values} - {"msm_build_info"} == set(re.findall(r"`(msm_\w+)", page)) - {"msm_"}


async def test_a_refused_source_shows(connect):
    plane = routed_plane()
    plane.source_failed("files", "mesh.yaml:3: unknown field")
    values = await scrape(connect(plane))
    assert values["msm_source_refused", ("source", "files")] == 1


async def test_a_proxy_that_is_behind_shows(connect):
    plane = busy_plane()
    plane.set_slice(Slice(source="files"))
    values = await scrape(connect(plane))
    assert ("msm_proxy_resources", ("proxy", RTSP_NODE), ("state", "synced"), ("type", "rds")) not in values


async def test_what_was_exchanged_on_streams_that_ended_stays_counted(connect):
    plane = routed_plane()
    client = connect(plane)
    node = Node(id=RTSP_NODE, cluster=RTSP_CLUSTER)
    peer = XdsPeer(plane, plane.routes, node, (CLUSTER.type_url, ROUTE.type_url))
    peer.settle()
    (stream,) = plane.proxies.values()
    stream.traffic.throttled = 1
    counters = ("requests", "responses", "acks", "nacks", "throttled", "sent_bytes")
    open_stream = await scrape(client)
    values = [open_stream[f"msm_xds_{name}_total",] for name in counters]
    assert values[:5] == [4, 2, 2, 0, 1]
    assert values[5] > 0
    peer.leave()
    plane.discovery.traffic.add(stream.traffic)
    ended = await scrape(client)
    assert [ended[f"msm_xds_{name}_total",] for name in counters] == values


async def test_streams_that_were_refused_are_counted_by_reason(connect):
    plane = empty_plane()
    plane.discovery.refused[Fault.RESOURCE_EXHAUSTED] += 2
    values = await scrape(connect(plane))
    assert values["msm_xds_refused_streams_total", ("reason", "resource_exhausted")] == 2
    assert values["msm_xds_refused_streams_total", ("reason", "invalid_argument")] == 0


async def test_a_proxy_that_never_answers_shows(connect):
    plane = busy_plane()
    values = await scrape(connect(plane))
    assert values["msm_xds_unanswered_streams",] == 0
    assert values["msm_xds_unanswered_seconds", ("proxy", "envoy")] == 0
    silent = XdsPeer(plane, plane.routes, Node(id="silent", cluster=RTSP_CLUSTER), (CLUSTER.type_url,))
    assert silent.take()
    values = await scrape(connect(plane))
    assert values["msm_xds_unanswered_streams",] == 1
    assert 0 < values["msm_xds_unanswered_seconds", ("proxy", "silent")] < 60
    assert values["msm_proxy_resources", ("proxy", "silent"), ("state", "sent"), ("type", "cds")] == 2


async def test_the_version_is_told(connect):
    values = await scrape(connect(empty_plane()))
    assert any(name == "msm_build_info" and dict(labels)["version"] for name, *labels in values)


async def test_open_metrics_are_given_to_who_asks_for_them(connect):
    accept = "application/openmetrics-text; version=1.0.0"
    response = await connect(empty_plane()).get("/metrics", headers={"Accept": accept})
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")
