"""What a session can fail with: `PlayError` for callers, `SessionFailedError` between the pure parts."""

from __future__ import annotations

from rtsp_filter.player.report import PlayReport


class PlayError(Exception):
    """A session that did not come to PLAY. Its text says why; `report` is what was measured, with that error."""

    def __init__(self, report: PlayReport) -> None:
        super().__init__(report.error)
        self.report = report


class SessionFailedError(Exception):
    """Why a session cannot go on, the server's fault; the core turns it into the error of the report."""
