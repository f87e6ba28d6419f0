"""An observer of an RTSP proxy's relay stream (rtsp_filter.relays) to whom nothing of it is of interest."""

from __future__ import annotations

from collections.abc import Mapping

from mesh.wire import relay_pb2
from rtsp_filter.relays import Allocation


class Nobody:
    """Hears of media and of sessions that change hands, and does nothing."""

    def on_silent(self, relay_id: str, seconds: float) -> None:
        pass

    def on_flowing(self, relay_id: str) -> None:
        pass

    def on_receiver_alive(self, relay_id: str) -> None:
        pass

    def on_session_handed(self, session: relay_pb2.Session, allocations: Mapping[str, Allocation]) -> None:
        pass

    def on_leave_asked(self, session_id: str) -> None:
        pass

    def on_claim_refused(self, session_id: str) -> None:
        pass
