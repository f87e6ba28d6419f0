"""A camera that sends nothing over TCP is noticed once, and one that sends never is."""

from __future__ import annotations

import asyncio

import pytest

from rtsp_filter.proxy.sessions import frames_watch
from rtsp_filter.proxy.sessions.frames_watch import FramesWatch

SECONDS = 0.01


class Scene:
    """A camera that sends, or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(frames_watch, "SILENT_AFTER", SECONDS)
        self.sends = False
        self.looks = 0
        self.once = False
        self.looked = asyncio.Event()
        self.silences: list[float] = []
        self.watch = FramesWatch(self._heard, self.silences.append)

    def _heard(self) -> bool:
        self.looks += 1
        self.looked.set()
        heard, self.once = self.sends or self.once, False
        return heard

    async def look(self, times: int) -> None:
        for _ in range(times):
            self.looked.clear()
            await self.looked.wait()
        await asyncio.sleep(0)


async def test_a_silence_is_told_of_once_and_the_next_one_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.watch.begin()
    await scene.look(3)
    assert scene.silences == [SECONDS]
    scene.sends = True
    await scene.look(1)
    scene.sends = False
    await scene.look(2)
    assert scene.silences == [SECONDS] * 2
    scene.watch.stop()


async def test_whoever_begins_again_and_again_is_looked_after_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    for _ in range(100):
        scene.watch.begin()
    scene.looks = 0
    for _ in range(3):
        scene.once = True  # one frame between two looks
        await scene.look(1)
    assert scene.silences == []
    assert scene.looks == 3
    scene.watch.stop()


async def test_a_camera_that_takes_over_and_is_silent_too_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.watch.begin()
    await scene.look(2)
    scene.watch.begin()
    await scene.look(2)
    assert scene.silences == [SECONDS] * 2
    scene.watch.stop()


async def test_who_has_stopped_is_not_looked_after(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.watch.begin()
    timer = scene.watch._timer
    scene.watch.stop()
    assert timer is not None
    assert timer.cancelled()
