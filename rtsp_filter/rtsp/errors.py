"""What can go wrong in RTSP: one root, which says whose fault it is and what to answer.

A connection that meets an error of a subclass knows all it needs: `status` is what the peer should be told.
"""

from __future__ import annotations

from enum import Enum

from rtsp_filter.rtsp.status import StatusCode


class Fault(Enum):
    """Who has to change something."""

    LOCAL = "local"
    REMOTE = "remote"


class RTSPError(Exception):
    """Root of this package's errors.

    `status` is the answer for the peer whose request led here, `fault` tells who is to blame.
    """

    status: StatusCode = StatusCode.BAD_REQUEST
    fault: Fault = Fault.REMOTE

    def __init__(self, message: str, *, status: StatusCode | None = None, fault: Fault | None = None) -> None:
        super().__init__(message)
        self.status = status or self.status
        self.fault = fault or self.fault


class RTSPParseError(RTSPError):
    """The byte stream is not RTSP, or more than we take; nothing after it can be understood.

    `cseq` is that of the message at fault where it was readable, so that it can be answered.
    """

    def __init__(self, status: StatusCode, message: str, *, cseq: int | None = None) -> None:
        super().__init__(message, status=status)
        self.cseq = cseq


class URLError(RTSPError):
    """Not an RTSP URL."""


class SDPError(RTSPError):
    """Not a session description. It comes from a server, so a proxy's client gets 502."""

    status = StatusCode.BAD_GATEWAY


class TransportError(RTSPError):
    """A Transport header that offers nothing we understand."""

    status = StatusCode.UNSUPPORTED_TRANSPORT


class StateError(RTSPError):
    """A method that the session's state does not allow."""

    status = StatusCode.METHOD_NOT_VALID_IN_THIS_STATE


class LocalError(RTSPError):
    """We were about to send something that is not RTSP."""

    status = StatusCode.INTERNAL_SERVER_ERROR
    fault = Fault.LOCAL
