"""Requests, responses and runs of interleaved media: what travels on an RTSP connection (RFC 2326, 6, 7 and 10.12).

Text is held as str. Bytes that are no UTF-8 survive as surrogate escapes, so what is parsed is sent on unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from rtsp_filter.rtsp.errors import LocalError
from rtsp_filter.rtsp.headers import Headers
from rtsp_filter.rtsp.status import StatusCode

RTSP_VERSION = "RTSP/1.0"
RTSP_VERSION_2 = "RTSP/2.0"

MAX_CSEQ_DIGITS = 19
"""Sequence numbers fit 64 bits; longer ones are no numbers that anybody counts to."""

_CONTROL = re.compile(r"[\0-\x08\x0a-\x1f\x7f]")


class Method(StrEnum):
    """Methods of RFC 2326, section 10. Requests carry plain text, since a peer may send others."""

    DESCRIBE = "DESCRIBE"
    ANNOUNCE = "ANNOUNCE"
    GET_PARAMETER = "GET_PARAMETER"
    OPTIONS = "OPTIONS"
    PAUSE = "PAUSE"
    PLAY = "PLAY"
    RECORD = "RECORD"
    REDIRECT = "REDIRECT"
    SETUP = "SETUP"
    SET_PARAMETER = "SET_PARAMETER"
    TEARDOWN = "TEARDOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request. `url` is as written, "*" included."""

    method: str
    url: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    version: str = RTSP_VERSION

    @property
    def cseq(self) -> int | None:
        """The sequence number; a parsed request always has one."""
        return parse_cseq(self.headers)

    def encode(self) -> bytes:
        """The bytes to send, Content-Length put right. Raises LocalError for a control character in method or URL."""
        return _encode(f"{self.method} {self.url} {self.version}", self.headers, self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response. `reason` may be empty."""

    status: int
    reason: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    version: str = RTSP_VERSION

    @property
    def cseq(self) -> int | None:
        """The sequence number of the request it answers; some servers leave it out."""
        return parse_cseq(self.headers)

    def encode(self) -> bytes:
        """The bytes to send, Content-Length put right. Raises LocalError for a control character in the reason."""
        return _encode(f"{self.version} {self.status} {self.reason}", self.headers, self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class InterleavedChunk:
    """A run of bytes of `$` frames (RFC 2326, 10.12), as long as one read gave; frames may be cut at both ends.

    `data` looks into the buffer given to the parser and is valid until the caller changes that buffer.
    The first `continuation` bytes belong to a frame that began in an earlier chunk; `frames` frames begin in this
    one, the last of them at offset `last_frame` (len(data) where none does); `whole` says that the chunk ends where
    a frame ends, so that a message may be sent after it.
    """

    data: memoryview
    whole: bool
    continuation: int
    frames: int
    last_frame: int


def respond(
    request: Request, status: StatusCode, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
) -> Response:
    """A response to this request, with its CSeq."""
    return response_for(status, request.cseq, headers, body)


def response_for(
    status: StatusCode, cseq: int | None, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
) -> Response:
    """A response to the request numbered `cseq`, or without CSeq where that could not be read."""
    numbered = [] if cseq is None else [("CSeq", str(cseq))]
    return Response(status=status, reason=status.reason, headers=Headers([*numbered, *headers]), body=body)


def parse_cseq(headers: Headers) -> int | None:
    """The number in CSeq; None where there is none, or no number."""
    text = (headers.get("CSeq") or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_CSEQ_DIGITS else None


def _encode(start_line: str, headers: Headers, body: bytes) -> bytes:
    if _CONTROL.search(start_line):
        raise LocalError("the start line would contain a line end or another control character")
    lines = [start_line]
    length: str | None = str(len(body))
    for name, value in headers.items():
        if name.lower() == "content-length":
            if length is not None:
                lines.append(f"{name}: {length}")
            length = None
        else:
            lines.append(f"{name}: {value}")
    if body and length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + body
