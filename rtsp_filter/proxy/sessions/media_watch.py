"""What the media proxy sees of relays, taken to the sessions that they belong to."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from rtsp_filter.proxy.sessions.deserted import DesertedSessions
from rtsp_filter.proxy.sessions.session import Session
from rtsp_filter.proxy.sessions.silence import Silence
from rtsp_filter.rtsp import State

log = structlog.get_logger()


class MediaWatch:
    """Hears of relays (`MediaObserver`). `session_of`: the session that has a relay; None when it is over."""

    def __init__(self, session_of: Callable[[str], Session | None], deserted: DesertedSessions) -> None:
        self._session_of = session_of
        self._deserted = deserted
        self._silence = Silence()

    def on_silent(self, relay_id: str, seconds: float) -> None:
        """Nothing has come from the relay's sender for so many seconds, at least."""
        session = self._session_of(relay_id)
        if session is None or session.just_moved or session.state not in (State.PLAYING, State.RECORDING):
            return  # what lasts is told again
        if self._silence.silent(session.id, relay_id, session.media.relay_ids, session.source):
            log.warning("no media comes any more", **session.identity, seconds=round(seconds, 1))
            session.silent(seconds)

    def on_flowing(self, relay_id: str) -> None:
        """Media has begun, or begun again."""
        session = self._session_of(relay_id)
        if session is not None and self._silence.flowing(session.id, relay_id):
            log.info("media comes again", **session.identity)

    def on_receiver_alive(self, relay_id: str) -> None:
        """The relay's receiver has sent RTCP."""
        session = self._session_of(relay_id)
        if session is not None:
            self._deserted.receiver_alive(session.id)

    def forget(self, session_id: str) -> None:
        """The session is over."""
        self._silence.forget(session_id)
