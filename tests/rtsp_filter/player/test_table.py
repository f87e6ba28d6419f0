from io import StringIO

from rich.console import Console

from rtsp_filter.player import PlayReport, PlayTransport, TrackReport, render


def show(report: PlayReport) -> str:
    shown = StringIO()
    Console(width=120, file=shown).print(render(report))
    return shown.getvalue()


def report(*, error: str | None = None, codec: str = "H264") -> PlayReport:
    track = TrackReport(
        media="video",
        codec=codec,
        ssrc=1,
        packets=12_345,
        bytes=1,
        lost=67,
        reordered=8,
        duplicates=0,
        malformed=0,
        jitter_ms=1.26,
        bitrate_bps=1_250_000,
        round_trip_ms=None,
        sender_reports=0,
    )
    return PlayReport(
        url="rtsp://camera/live",
        transport=PlayTransport.UDP,
        setup_ms=2.14,
        first_packet_ms=None,
        duration_s=9.7,
        tracks=(track,),
        error=error,
    )


def test_a_track_is_a_row_and_unknown_figures_are_dashes() -> None:
    (row,) = [line for line in show(report()).splitlines() if "video" in line]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == ["video", "H264", "12,345", "1.25 Mbit/s", "67", "1.3 ms", "-"]


def test_the_caption_tells_transport_and_times() -> None:
    assert "10 s over UDP, set-up 2.1 ms, first packet -" in show(report())


def test_an_error_takes_the_place_of_the_times() -> None:
    shown = show(report(error="no media for 10 s"))
    assert "no media for 10 s" in shown
    assert "set-up" not in shown


def test_what_a_server_says_is_not_read_as_markup() -> None:
    assert "[bold]" in show(report(codec="[bold]"))
    assert "[/red]" in show(report(error="[/red]"))
