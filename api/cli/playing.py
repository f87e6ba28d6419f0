"""What `msm play` does on its event loop: plays, shows how it goes, and reports."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from pydantic import BaseModel
from rich.live import Live

from api.cli.output import Cell, console, table
from rtsp_filter.player import ManyReport, Percentiles, PlayError, PlayReport, PlayTransport, play, play_many, render


async def play_and_report(url: str, transport: PlayTransport, seconds: float | None, *, as_json: bool) -> int:
    """Play one session to its end, or until cancelled; gives the exit code."""
    latest: list[PlayReport] = []
    live = sys.stdout.isatty() and not as_json
    with _screen(live) as show:

        def progress(report: PlayReport) -> None:
            latest[:] = [report]
            show(report)

        try:
            report = await play(url, transport=transport, seconds=seconds, on_progress=progress)
        except PlayError as error:
            report = error.report
        except asyncio.CancelledError:
            report = latest[0]  # play() reports once more when it is cancelled
    if as_json:
        _print_json(report)
    elif report.tracks and not live:
        console().print(render(report))
    return _code(report.error, sum(track.packets for track in report.tracks))


async def play_many_and_report(
    url: str, sessions: int, transport: PlayTransport, seconds: float, *, as_json: bool
) -> int:
    """Play many sessions at once and sum them up; gives the exit code."""
    try:
        report = await play_many(url, sessions, transport=transport, seconds=seconds)
    except asyncio.CancelledError:
        typer.echo("interrupted; there is no report before all sessions have ended", err=True)
        return 1
    if as_json:
        _print_json(report)
    else:
        _print_sum(report)
    failures = f"{report.failed} of {report.sessions} sessions failed" if report.failed else None
    return _code(failures, report.packets)


@contextmanager
def _screen(live: bool) -> Iterator[Callable[[PlayReport], None]]:
    """A function that shows a report in place of the one before; it does nothing where there is no terminal."""
    if not live:
        yield lambda report: None
        return
    with Live(console=console(), auto_refresh=False) as screen:
        yield lambda report: screen.update(render(report), refresh=True)


def _print_json(report: BaseModel) -> None:
    typer.echo(report.model_dump_json())


def _print_sum(report: ManyReport) -> None:
    out = console()
    out.print(f"{report.url}: {report.sessions} sessions over {report.transport.upper()}, {report.failed} failed")
    rows = [
        _percentiles("set-up", report.setup_ms),
        _percentiles("first packet", report.first_packet_ms),
    ]
    out.print(table(("milliseconds", "p50", "p90", "p99"), rows))
    out.print(
        f"{report.packets} packets, {report.bytes} bytes, {report.lost} lost, {report.reordered} reordered,"
        f" {report.duplicates} duplicates"
    )
    for failure in report.failures:
        out.print(f"{failure.sessions} failed: {failure.reason}")


def _percentiles(name: str, values: Percentiles | None) -> tuple[Cell, ...]:
    if values is None:
        return (name, None, None, None)
    return (name, f"{values.p50:.1f}", f"{values.p90:.1f}", f"{values.p99:.1f}")


def _code(error: str | None, packets: int) -> int:
    """0 when media came and nothing failed; otherwise says why not."""
    if error is None and packets:
        return 0
    typer.echo(error or "no media came", err=True)
    return 1
