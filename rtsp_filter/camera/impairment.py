"""What makes a bad camera bad: packets that are lost and pictures that are late, the same ones every time.

Losses come at random, and yet as many as were asked for after any number of packets, give or take one: at 5 %, each
twenty packets lose one, wherever in them. Somebody who plays for seconds shall see what he asked for.
"""

from __future__ import annotations

from random import Random

from rtsp_filter.camera.settings import CameraSettings


class Impairment:
    """Of one track. `loss` is a share from 0 to 1, `jitter` seconds."""

    def __init__(self, *, loss: float, jitter: float, seed: int) -> None:
        self._loss = loss
        self._jitter = jitter
        self._random = Random(seed)
        self._missing = 0.0
        self._patience = self._random.random()

    @classmethod
    def of(cls, settings: CameraSettings, track: int) -> Impairment:
        """That of track number `track`; tracks differ, sessions do not."""
        return cls(loss=settings.loss, jitter=settings.jitter, seed=settings.seed + track)

    def loses(self) -> bool:
        """Whether the next packet is lost."""
        self._missing += self._loss
        if self._missing <= self._patience:
            return False
        self._missing -= 1
        self._patience = self._random.random()
        return True

    def lateness(self) -> float:
        """By how many seconds the next access unit is late."""
        return self._random.uniform(0, self._jitter) if self._jitter else 0.0
