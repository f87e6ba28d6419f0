"""What a bad camera loses: as much as was asked for, also of a few packets, and not in step."""

from __future__ import annotations

from itertools import pairwise

import pytest

from rtsp_filter.camera.impairment import Impairment


@pytest.mark.parametrize("loss", [0.0, 0.001, 0.05, 1 / 3, 0.9, 1.0])
@pytest.mark.parametrize("seed", [0, 1, 7])
def test_after_any_number_of_packets_as_many_are_lost_as_were_asked_for(loss: float, seed: int) -> None:
    bad = Impairment(loss=loss, jitter=0, seed=seed)
    lost = 0
    for sent in range(1, 2000):
        lost += bad.loses()
        assert abs(lost - sent * loss) <= 1 + 1e-9


def test_losses_come_at_no_steady_distance() -> None:
    bad = Impairment(loss=0.05, jitter=0, seed=0)
    lost = [number for number in range(2000) if bad.loses()]
    distances = {after - before for before, after in pairwise(lost)}
    assert len(distances) > 10
    assert min(distances) < 10 < 30 < max(distances)
