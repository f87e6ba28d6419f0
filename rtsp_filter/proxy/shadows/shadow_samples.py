"""What a shadow session adds, time after time, to what is known of its endpoint. No I/O."""

from __future__ import annotations

from rtsp_filter.proxy.shadows.shadow_core import Quality
from rtsp_filter.relays.endpoint_book import Count, Tally


class ShadowSamples:
    """Of one session. What was counted once is not taken back: a packet that is very late was lost."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._packets = 0
        self._lost = 0
        self._silent = False

    def take(self, quality: Quality) -> None:
        """What is known now. A session that plays and of which nothing comes is a set-up that failed."""
        packets = round(quality.packets / (1 - quality.lost)) if quality.lost < 1 else quality.packets
        packets, lost = max(packets, self._packets), max(packets - quality.packets, self._lost)
        if packets > self._packets:
            self._tally.sampled(packets=packets - self._packets, lost=lost - self._lost, jitter=quality.jitter)
            self._packets, self._lost = packets, lost
        if quality.silent and not self._silent:
            self._silent = True
            self._tally.count(Count.SETUPS)
            self._tally.count(Count.FAILED_SETUPS)
