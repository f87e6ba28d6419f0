"""Many sessions of one URL in one process: what a load of players sees."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from rtsp_filter.player.errors import PlayError
from rtsp_filter.player.negotiation import parse_url
from rtsp_filter.player.report import Failure, ManyReport, Percentiles, PlayReport, PlayTransport
from rtsp_filter.player.session import play

START_SPACING = 0.01
"""Seconds between the starts of two sessions: without it set-up times would be of our own queue, not the server's."""


async def play_many(
    url: str,
    sessions: int,
    *,
    transport: PlayTransport = PlayTransport.UDP,
    seconds: float,
    concurrency: int | None = None,
) -> ManyReport:
    """Play `url` in `sessions` sessions of `seconds` each and sum them up.

    At most `concurrency` of them are alive at once (None: all). With `seconds` 0 and `concurrency` 1 it measures
    set-up alone. Failed sessions are counted, not raised; raises RTSPError when `url` is no rtsp:// URL.
    """
    asked = str(parse_url(url).without_userinfo())
    alive = asyncio.Semaphore(concurrency or sessions)

    async def one() -> PlayReport:
        async with alive:
            return await _report_of(url, transport, seconds)

    tasks = []
    async with asyncio.TaskGroup() as group:
        for number in range(sessions):
            tasks.append(group.create_task(one(), name=f"play {number}"))
            await asyncio.sleep(START_SPACING)
    return summarize(asked, transport, [task.result() for task in tasks])


def summarize(url: str, transport: PlayTransport, reports: Sequence[PlayReport]) -> ManyReport:
    """The reports of all sessions as one."""
    reasons = Counter(report.error for report in reports if report.error is not None)
    tracks = [track for report in reports for track in report.tracks]
    return ManyReport(
        url=url,
        transport=transport,
        sessions=len(reports),
        failed=reasons.total(),
        failures=tuple(Failure(reason=reason, sessions=count) for reason, count in reasons.most_common()),
        setup_ms=Percentiles.of([report.setup_ms for report in reports if report.setup_ms is not None]),
        first_packet_ms=Percentiles.of(
            [report.first_packet_ms for report in reports if report.first_packet_ms is not None]
        ),
        packets=sum(track.packets for track in tracks),
        bytes=sum(track.bytes for track in tracks),
        lost=sum(track.lost for track in tracks),
        reordered=sum(track.reordered for track in tracks),
        duplicates=sum(track.duplicates for track in tracks),
    )


async def _report_of(url: str, transport: PlayTransport, seconds: float) -> PlayReport:
    try:
        return await play(url, transport=transport, seconds=seconds)
    except PlayError as error:
        return error.report
