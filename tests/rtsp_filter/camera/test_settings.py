"""Settings that make no sense are refused."""

from __future__ import annotations

import pytest

from rtsp_filter.camera import CameraSettings


@pytest.mark.parametrize(("loss", "jitter"), [(1.1, 0.0), (-0.1, 0.0), (0.0, -1.0)])
def test_loss_and_jitter_have_bounds(loss: float, jitter: float) -> None:
    with pytest.raises(ValueError, match="loss is a share"):
        CameraSettings(loss=loss, jitter=jitter)
