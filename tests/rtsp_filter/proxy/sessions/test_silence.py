"""When a session is silent: when all of its relays are."""

from __future__ import annotations

from rtsp_filter.proxy.sessions.silence import Silence

BOTH = {"video", "audio"}
CAMERA, OTHER = object(), object()


def test_a_session_is_silent_with_its_last_relay_and_only_once() -> None:
    silence = Silence()
    assert not silence.silent("s", "audio", BOTH, CAMERA)
    assert silence.silent("s", "video", BOTH, CAMERA)
    assert not silence.silent("s", "video", BOTH, CAMERA)
    assert not silence.silent("other", "video", BOTH, CAMERA)


def test_a_session_flows_again_with_its_first_relay_and_only_once() -> None:
    silence = Silence()
    for relay in BOTH:
        silence.silent("s", relay, BOTH, CAMERA)
    assert silence.flowing("s", "video")
    assert not silence.flowing("s", "audio")
    assert not silence.flowing("never silent", "video")


def test_a_session_that_flowed_again_may_fall_silent_again() -> None:
    silence = Silence()
    for relay in BOTH:
        silence.silent("s", relay, BOTH, CAMERA)
    silence.flowing("s", "video")
    assert silence.silent("s", "video", BOTH, CAMERA)


def test_of_a_session_that_is_over_nothing_is_kept() -> None:
    silence = Silence()
    for relay in BOTH:
        silence.silent("s", relay, BOTH, CAMERA)
    silence.forget("s")
    assert not silence.flowing("s", "video")
    assert not silence.silent("s", "audio", BOTH, CAMERA)


def test_a_session_that_has_moved_is_silent_anew_if_its_next_camera_is_silent_too() -> None:
    silence = Silence()
    for relay in BOTH:
        silence.silent("s", relay, BOTH, CAMERA)
    assert not silence.silent("s", "video", BOTH, CAMERA)
    assert silence.silent("s", "video", BOTH, OTHER)
    assert not silence.silent("s", "audio", BOTH, OTHER)


def test_relays_that_a_session_has_no_more_say_nothing() -> None:
    silence = Silence()
    for relay in BOTH:
        silence.silent("s", relay, BOTH, CAMERA)
    assert not silence.silent("s", "new video", {"new video", "new audio"}, OTHER)
    assert silence.silent("s", "new audio", {"new video", "new audio"}, OTHER)
