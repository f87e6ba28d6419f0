"""What a control plane's API tells Prometheus."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families


async def scrape(client):
    """Metric names and labels → values."""
    response = await client.get("/metrics")
    assert response.status_code == 200
    families = list(text_string_to_metric_families(response.text))
    assert all(family.documentation for family in families)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }
