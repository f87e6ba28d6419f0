from rtsp_filter.player import Failure, Percentiles, PlayReport, PlayTransport, TrackReport
from rtsp_filter.player.many import summarize


def report(*, setup_ms: float | None = None, error: str | None = None, lost: int | None = None) -> PlayReport:
    track = TrackReport(
        media="video",
        codec="H264",
        ssrc=1,
        packets=100,
        bytes=1_000,
        lost=lost or 0,
        reordered=2,
        duplicates=3,
        malformed=0,
        jitter_ms=0.0,
        bitrate_bps=0,
        round_trip_ms=None,
        sender_reports=0,
    )
    return PlayReport(
        url="rtsp://a/b",
        transport=PlayTransport.UDP,
        setup_ms=setup_ms,
        first_packet_ms=None,
        duration_s=1.0,
        tracks=() if lost is None else (track, track),
        error=error,
    )


def test_sums_times_and_reasons_are_of_all_sessions() -> None:
    reports = [
        report(setup_ms=1.0, lost=1),
        report(setup_ms=3.0, lost=0),
        report(error="DESCRIBE: 404 Not Found"),
        report(error="refused"),
        report(setup_ms=2.0, error="refused"),
    ]
    summary = summarize("rtsp://a/b", PlayTransport.UDP, reports)
    assert (summary.sessions, summary.failed) == (5, 3)
    assert summary.failures == (
        Failure(reason="refused", sessions=2),
        Failure(reason="DESCRIBE: 404 Not Found", sessions=1),
    )
    assert summary.setup_ms == Percentiles(p50=2.0, p90=3.0, p99=3.0)
    assert summary.first_packet_ms is None
    totals = (summary.packets, summary.bytes, summary.lost, summary.reordered, summary.duplicates)
    assert totals == (400, 4_000, 2, 8, 12)
