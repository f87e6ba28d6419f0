"""A live table of a session, one row a track, for terminals.

What a server or a URL says is shown as it is, never read as markup.
"""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from rtsp_filter.player.report import PlayReport, TrackReport

_UNKNOWN = "-"
_COLUMNS = ("track", "codec", "packets", "bit rate", "lost", "jitter", "round trip")


def render(report: PlayReport) -> Table:
    """The report as a table; give each new one to `rich.live.Live.update`."""
    table = Table(title=Text(report.url), caption=_caption(report), title_justify="left", caption_justify="left")
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column in ("track", "codec") else "right", no_wrap=True)
    for track in report.tracks:
        table.add_row(*_row(track))
    return table


def _row(track: TrackReport) -> tuple[str | Text, ...]:
    return (
        Text(track.media),
        Text(track.codec),
        f"{track.packets:,}",
        _bit_rate(track.bitrate_bps),
        Text(f"{track.lost:,}", style="red" if track.lost else ""),
        f"{track.jitter_ms:.1f} ms",
        _milliseconds(track.round_trip_ms),
    )


def _caption(report: PlayReport) -> Text:
    if report.error is not None:
        return Text(report.error, style="red")
    times = report.reconnections
    again = f", connected again {times} time{'' if times == 1 else 's'}" if times else ""
    return Text(
        f"{report.duration_s:.0f} s over {report.transport.value.upper()}, "
        f"set-up {_milliseconds(report.setup_ms)}, first packet {_milliseconds(report.first_packet_ms)}{again}"
    )


def _bit_rate(bits: int) -> str:
    return f"{bits / 1_000_000:.2f} Mbit/s" if bits >= 1_000_000 else f"{bits / 1_000:.0f} kbit/s"


def _milliseconds(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.1f} ms"
