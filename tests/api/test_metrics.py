"""Metrics: the state at the time of the scrape."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from mesh.model import Slice
from tests.api.planes import RTSP_NODE, busy_plane, empty_plane, routed_plane


async def scrape(client):
    """Metric names and labels → values."""
    response = await client.get("/metrics")
    assert response.status_code == 200
    families = list(text_string_to_metric_families(response.text))
    assert all(family.documentation for family in families)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }


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


async def test_an_empty_mesh_has_the_same_metrics_at_zero(connect):
    values = await scrape(connect(empty_plane()))
    assert values["msm_ready",] == 0
    assert values["msm_sessions", ("state", "playing"), ("transport", "udp")] == 0
    assert values["msm_xds_streams", ("kind", "media")] == 0
    assert values["msm_relays", ("state", "waiting")] == 0


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


async def test_the_version_is_told(connect):
    values = await scrape(connect(empty_plane()))
    assert any(name == "msm_build_info" and dict(labels)["version"] for name, *labels in values)


async def test_open_metrics_are_given_to_who_asks_for_them(connect):
    accept = "application/openmetrics-text; version=1.0.0"
    response = await connect(empty_plane()).get("/metrics", headers={"Accept": accept})
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")
