"""What a shadow session finds out about the media of an endpoint that nobody watches. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rtsp_filter.player.core import TRACK_SILENCE_LIMIT
from rtsp_filter.player.track import TrackReceiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """All that came until now, of all tracks.

    `packets` without duplicates, `lost` the share (0 to 1) of all that were sent, `jitter` in seconds and of the worst
    track (RFC 3550, section 6.4.1). `silent_seconds` is how long audio or video has sent nothing, since PLAY at the
    most. `setup_failed` says why the session did not come to PLAY; while it is on its way there, all is 0 and None.
    """

    packets: int = 0
    lost: float = 0.0
    jitter: float = 0.0
    silent_seconds: float = 0.0
    setup_failed: str | None = None

    @property
    def silent(self) -> bool:
        """Whether audio or video sends nothing."""
        return self.silent_seconds >= TRACK_SILENCE_LIMIT


def measured(receivers: Iterable[TrackReceiver], *, playing_since: float, now: float) -> Quality:
    """The quality of a session that plays since `playing_since`. Times are monotonic seconds."""
    receivers = tuple(receivers)
    figures = [receiver.figures(now) for receiver in receivers]
    packets, lost = sum(each.packets for each in figures), sum(each.lost for each in figures)
    return Quality(
        packets=packets,
        lost=lost / (packets + lost) if packets + lost else 0.0,
        jitter=max((each.jitter for each in figures), default=0.0),
        silent_seconds=max((each.silent_seconds(now, since=playing_since) for each in receivers), default=0.0),
    )
