"""Which sessions are mirrored: what is played here is set up as a shadow session at a mirror's endpoint, and ends with
it. Sessions that record are not: what a client sends goes to one server."""

from __future__ import annotations

import structlog

from rtsp_filter.proxy.cameras.endpoints import Endpoints
from rtsp_filter.proxy.limits import MAX_SHADOWS
from rtsp_filter.proxy.sessions.session_host import Described
from rtsp_filter.proxy.shadows.shadow import Shadow, Shadows

log = structlog.get_logger()


class Mirrors:
    """Of a proxy's sessions."""

    def __init__(self, endpoints: Endpoints, shadows: Shadows) -> None:
        self._endpoints = endpoints
        self._shadows = shadows
        self._of_session: dict[str, list[Shadow]] = {}

    def played(self, session_id: str, source: Described) -> None:
        """The camera of a session has answered PLAY; only the first time counts. `over` must follow."""
        if not source.decision.mirrors or session_id in self._of_session:
            return
        started = self._of_session[session_id] = []
        for mirrored in self._endpoints.mirrors(source.decision):
            shadow = self._shadows.start(mirrored, source.presentation.client_url)
            if shadow is not None:
                started.append(shadow)
            else:
                reason = f"there are {MAX_SHADOWS} shadow sessions already"
                log.warning("a session is not mirrored", session=session_id, backend=mirrored.cluster, reason=reason)

    def over(self, session_id: str) -> None:
        """The session ends."""
        for shadow in self._of_session.pop(session_id, ()):
            shadow.close()
