"""Another camera takes over while other things happen to the session: its client asks, or leaves; more goes wrong."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import pytest

from rtsp_filter.proxy.cameras.upstream import Upstream, UpstreamError
from rtsp_filter.proxy.limits import SILENT_AFTER
from rtsp_filter.proxy.sessions import session as session_module
from rtsp_filter.proxy.sessions.session import Session
from rtsp_filter.proxy.sessions.session_host import Described
from rtsp_filter.rtsp import LowerTransport, Method, RTSPError, State, StatusCode
from tests.rtsp_filter.proxy.sessions.test_session import Camera, Scene, request


class Move:
    """In place of the search for another camera: `other` takes over when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, scene: Scene) -> None:
        self.scene, self.other = scene, Camera()
        self.begun = 0
        self.found: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(session_module, "take_over", self._take_over)
        monkeypatch.setattr(scene.proxy.endpoints, "moves_sessions", lambda decision: True)

    async def _take_over(self, session: Session, *, again: bool) -> Described:
        self.begun += 1
        await self.found
        source = session.source
        return Described(
            presentation=source.presentation, decision=source.decision, upstream=cast(Upstream, self.other)
        )

    async def done(self) -> None:
        """The other camera plays."""
        self.found.set_result(None)
        await turns()
        assert self.scene.session.source.upstream is cast(Upstream, self.other)


async def playing(monkeypatch: pytest.MonkeyPatch) -> tuple[Scene, Move]:
    scene = Scene()
    move = Move(monkeypatch, scene)
    await scene.with_a_track()
    task = asyncio.create_task(scene.session.forward(request(Method.PLAY)))
    await scene.camera.answer(Method.PLAY)
    await task
    return scene, move


async def turns() -> None:
    """Whatever can be done without waiting is done."""
    for _ in range(10):
        await asyncio.sleep(0)


async def ended(scene: Scene, move: Move) -> None:
    scene.proxy.session_over(scene.session, "test")
    while scene.proxy._endings:
        for camera in (scene.camera, move.other):
            if Method.TEARDOWN in camera.waiting:
                await camera.answer(Method.TEARDOWN)
        await asyncio.sleep(0)


async def test_a_camera_that_fails_twice_is_replaced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, move = await playing(monkeypatch)
    scene.session.camera_failed("it sends its clients elsewhere")
    scene.session.camera_failed("it has closed the connection")
    await turns()
    scene.session.camera_failed("it does not answer")
    await move.done()
    assert move.begun == 1
    assert not scene.session.ended
    await ended(scene, move)


@pytest.mark.parametrize("answered", [True, False])
async def test_what_a_client_asks_while_its_camera_fails_is_asked_of_the_next_one(
    monkeypatch: pytest.MonkeyPatch, *, answered: bool
) -> None:
    scene, move = await playing(monkeypatch)
    pause = asyncio.create_task(scene.session.forward(request(Method.PAUSE)))
    await scene.camera.asked_to(Method.PAUSE)
    scene.session.camera_failed("no media came")
    if answered:
        await scene.camera.answer(Method.PAUSE)
    else:
        scene.camera.waiting.pop(Method.PAUSE).set_exception(UpstreamError("it has closed the connection"))
    await turns()
    assert scene.session.state is State.PLAYING
    await move.done()
    await move.other.answer(Method.PAUSE)
    assert (await pause).status == 200
    assert scene.session.state is State.READY
    await ended(scene, move)


async def test_a_client_that_asks_while_no_other_camera_is_found_is_told_that_its_session_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, move = await playing(monkeypatch)
    scene.session.camera_failed("no media came")
    pause = asyncio.create_task(scene.session.forward(request(Method.PAUSE)))
    await turns()
    move.found.set_exception(UpstreamError("there is no other"))
    with pytest.raises(RTSPError) as error:
        await pause
    assert error.value.status == StatusCode.SESSION_NOT_FOUND
    await ended(scene, move)


async def test_a_track_that_is_asked_for_meanwhile_does_not_end_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, move = await playing(monkeypatch)
    scene.session.camera_failed("it has closed the connection")
    scene.camera.closed = "it has closed the connection"
    with pytest.raises(RTSPError) as error:
        await scene.set_up(1)
    assert error.value.status == StatusCode.SERVICE_UNAVAILABLE
    await move.done()
    assert not scene.session.ended
    await ended(scene, move)


async def test_a_fault_of_ours_while_moving_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, move = await playing(monkeypatch)
    scene.session.camera_failed("no media came")
    move.found.set_exception(ZeroDivisionError())
    await turns()
    assert scene.session.ended
    await ended(scene, move)


@pytest.mark.parametrize("takes_over", [True, False])
async def test_slots_of_a_session_that_several_cameras_may_send_to_rest_long(
    monkeypatch: pytest.MonkeyPatch, *, takes_over: bool
) -> None:
    scene, move = await playing(monkeypatch)
    scene.session.camera_failed("it has closed the connection")
    await turns()
    if takes_over:
        await move.done()
    await ended(scene, move)
    assert scene.relays.closed == [("0", False)]


async def test_what_the_camera_before_asks_is_not_answered_to_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, move = await playing(monkeypatch)
    scene.session.camera_failed("no media came")
    await move.done()
    await turns()
    assert cast(Any, scene.camera).on_request is None
    await ended(scene, move)


async def test_silence_that_is_told_of_just_after_a_move_is_that_of_the_camera_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, move = await playing(monkeypatch)
    watch = scene.proxy._media_watch
    watch._session_of = lambda relay_id: scene.session
    scene.session.camera_failed("it has closed the connection")
    await move.done()
    await turns()
    watch.on_silent("0", SILENT_AFTER)
    await turns()
    assert move.begun == 1
    scene.session._moves[-1] = time.monotonic() - SILENT_AFTER
    watch.on_silent("0", SILENT_AFTER + 10)
    await turns()
    assert move.begun == 2
    await ended(scene, move)


async def test_a_session_whose_frames_pass_unread_ends_with_its_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(LowerTransport.TCP)
    move = Move(monkeypatch, scene)  # as when the backend's policy changes in mid-play
    task = scene.set_up(0, LowerTransport.TCP)
    await scene.camera.answer(Method.SETUP)
    await task
    scene.session.become(State.PLAYING)
    scene.session.camera_failed("it has closed the connection")
    await turns()
    assert move.begun == 0
    assert scene.session.ended
    await ended(scene, move)


async def test_nothing_is_told_of_a_session_after_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, move = await playing(monkeypatch)
    await ended(scene, move)
    told: list[str] = []
    monkeypatch.setattr(scene.relays, "keep_session", lambda session_id, describe: told.append(session_id))
    scene.session.become(State.READY)
    assert told == []
