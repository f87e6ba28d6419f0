import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rtsp_filter.player import Percentiles, PlayReport, PlayTransport


def test_percentiles_of_nothing_are_none() -> None:
    assert Percentiles.of([]) is None


def test_percentiles_of_one_value_are_that_value() -> None:
    assert Percentiles.of([5.0]) == Percentiles(p50=5.0, p90=5.0, p99=5.0)


@given(st.permutations(list(range(1, 101))))
def test_percentiles_are_by_nearest_rank_whatever_the_order(values: list[int]) -> None:
    assert Percentiles.of(values) == Percentiles(p50=50, p90=90, p99=99)


def test_a_report_is_read_back_from_its_json_and_cannot_be_changed() -> None:
    report = PlayReport(
        url="rtsp://a/b",
        transport=PlayTransport.UDP,
        setup_ms=1.5,
        first_packet_ms=None,
        duration_s=0.0,
        tracks=(),
        error=None,
    )
    assert PlayReport.model_validate_json(report.model_dump_json()) == report
    with pytest.raises(ValidationError):
        report.error = "changed"  # type: ignore[misc]


def test_every_field_says_what_it_means() -> None:
    schema = PlayReport.model_json_schema()
    tracks = schema["$defs"]["TrackReport"]["properties"]
    assert all("description" in field for field in [*schema["properties"].values(), *tracks.values()])
