"""PLAY_NOTIFY of RTSP 2.0 (RFC 7826, 13.5): a server tells of its stream, which no server of RTSP 1.0 does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rtsp_filter.rtsp.errors import RTSPError
from rtsp_filter.rtsp.messages import Request
from rtsp_filter.rtsp.status import StatusCode
from rtsp_filter.rtsp.version2.rtp_info import rtp_info_to_1

PLAY_NOTIFY = "PLAY_NOTIFY"


class NotifyReason(StrEnum):
    """What there is to tell (RFC 7826, 18.32)."""

    END_OF_STREAM = "end-of-stream"
    MEDIA_PROPERTIES_UPDATE = "media-properties-update"
    SCALE_CHANGE = "scale-change"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayNotify:
    """A notice. `range` and `rtp_info` are where the stream is; `rtp_info` as RTSP 1.0 writes it."""

    reason: NotifyReason
    session: str
    range: str | None = None
    rtp_info: str | None = None

    @classmethod
    def parse(cls, request: Request) -> PlayNotify:
        """Raises RTSPError: 465 for a reason that nobody knows, 454 where no session is named."""
        text = (request.headers.get("Notify-Reason") or "").strip().lower()
        session = request.headers.get("Session")
        if text not in set(NotifyReason):
            raise RTSPError(f"the reason {text!r} is not known", status=StatusCode.NOTIFICATION_REASON_UNKNOWN)
        if session is None:
            raise RTSPError("a notice without a session", status=StatusCode.SESSION_NOT_FOUND)
        info = request.headers.get("RTP-Info")
        return cls(
            reason=NotifyReason(text),
            session=session.partition(";")[0].strip(),
            range=request.headers.get("Range"),
            rtp_info=rtp_info_to_1(info) if info is not None else None,
        )
