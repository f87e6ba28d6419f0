"""What the media proxy sees of relays, and what it means for their sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from rtsp_filter.proxy import ProxyLimits
from rtsp_filter.proxy.sessions.deserted import DesertedSessions
from rtsp_filter.proxy.sessions.media_watch import MediaWatch
from rtsp_filter.rtsp import State

SILENT, FLOWING = "no media comes any more", "media comes again"


@dataclass
class Played:
    """Stands in for a session with two relays. `failures`: what it was told of silence."""

    state: State = State.PLAYING
    just_moved: bool = False
    id: str = "s"
    source: object = "camera"
    failures: list[float] = field(default_factory=list)

    @property
    def media(self) -> Any:
        return SimpleNamespace(relay_ids={"video", "audio"})

    @property
    def identity(self) -> dict[str, str]:
        return {"session": self.id}

    def silent(self, seconds: float) -> None:
        self.failures.append(seconds)


def watch_over(session: Played) -> MediaWatch:
    sessions = {"video": session, "audio": session}
    return MediaWatch(cast(Any, sessions.get), DesertedSessions(ProxyLimits(), lambda session_id, reason: None))


def both_silent(watch: MediaWatch) -> list[str]:
    """What the log says when both relays are silent."""
    with capture_logs() as lines:
        for relay_id in ("audio", "video"):
            watch.on_silent(relay_id, 3.0)
    return [line["event"] for line in lines]


@pytest.mark.parametrize("state", [State.PLAYING, State.RECORDING])
def test_a_session_whose_relays_are_all_silent_is_told_once(state: State) -> None:
    session = Played(state=state)
    watch = watch_over(session)
    watch.on_silent("audio", 3.0)
    assert session.failures == []
    watch.on_silent("video", 3.5)
    watch.on_silent("video", 13.5)
    assert session.failures == [3.5]


def test_a_session_that_has_moved_is_told_of_its_next_camera_too() -> None:
    session = Played()
    watch = watch_over(session)
    assert both_silent(watch) == [SILENT]
    session.source = "another camera"
    watch.on_silent("video", 13.0)
    assert session.failures == [3.0, 13.0]


def test_a_session_that_has_been_paused_meanwhile_is_not_silent() -> None:
    session = Played(state=State.READY)
    assert both_silent(watch_over(session)) == []
    assert session.failures == []


def test_media_that_comes_again_is_told_of_if_the_session_was_silent() -> None:
    watch = watch_over(Played())
    with capture_logs() as lines:
        watch.on_flowing("video")
    assert lines == []
    both_silent(watch)
    with capture_logs() as lines:
        watch.on_flowing("video")
        watch.on_flowing("audio")
    assert [line["event"] for line in lines] == [FLOWING]


def test_a_session_that_is_over_and_its_relays_mean_nothing() -> None:
    watch = watch_over(Played())
    both_silent(watch)
    watch.forget("s")
    with capture_logs() as lines:
        watch.on_flowing("video")
        watch.on_silent("of nobody", 3.0)
        watch.on_flowing("of nobody")
        watch.on_receiver_alive("of nobody")
    assert lines == []
