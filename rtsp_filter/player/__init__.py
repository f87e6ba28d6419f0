"""The measuring player: plays an RTSP URL as any player would and reports what arrived, and how well."""

from rtsp_filter.player.errors import PlayError
from rtsp_filter.player.many import play_many
from rtsp_filter.player.report import (
    Failure,
    ManyReport,
    Percentiles,
    PlayReport,
    PlayTransport,
    TrackReport,
)
from rtsp_filter.player.session import Progress, play
from rtsp_filter.player.table import render

__all__ = [
    "Failure",
    "ManyReport",
    "Percentiles",
    "PlayError",
    "PlayReport",
    "PlayTransport",
    "Progress",
    "TrackReport",
    "play",
    "play_many",
    "render",
]
