"""A message's head (start line and headers) as text → its parts, within limits (RFC 2326, 4.2, 6.1 and 7.1).

Tolerant where it costs nothing (LF for CRLF, folded lines, no reason phrase, blanks in a URL), strict where two
readers could disagree on where a message ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rtsp_filter.rtsp.errors import RTSPParseError
from rtsp_filter.rtsp.headers import Headers
from rtsp_filter.rtsp.messages import RTSP_VERSION, RTSP_VERSION_2, Request, Response, parse_cseq
from rtsp_filter.rtsp.status import StatusCode

_HEAD_END = re.compile(rb"\n\r?\n")
_LONGEST_HEAD_END = 3
_CONTROL = re.compile(r"[\0-\x08\x0b-\x1f\x7f]")
# One look at a whole head, line ends included, spares most of them a look at each line.
_CONTROL_IN_HEAD = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rf"({_TOKEN}) +(\S(?:.*\S)?) +(RTSP/[0-9]+\.[0-9]+) *", re.ASCII)
_STATUS_LINE = re.compile(r"(RTSP/[0-9]+\.[0-9]+) +([1-9][0-9]{2})(?: (.*))?")
_HEADER_LINE = re.compile(rf"({_TOKEN})[ \t]*:[ \t]*(.*)")
_BLANKS = " \t"
_MAX_LENGTH_DIGITS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a message is held at most, so that no peer can make us hold more."""

    start_line_bytes: int = 8192
    """URLs with tokens in their query reach 4 KB."""
    head_bytes: int = 32768
    """Start line and headers; the largest seen, with bearer tokens, are below 16 KB."""
    headers: int = 128
    """The largest real messages have about 30."""
    blank_bytes: int = 256
    """Line ends between messages, which are skipped; peers that send any send one or two."""
    body_bytes: int = 262144
    """Session descriptions of 128 KB exist; twice that."""

    def check_unfinished_head(self, text: bytes | bytearray) -> None:
        """Raises RTSPParseError when what came of a head already exceeds a limit."""
        if len(text) > self.start_line_bytes and text.find(b"\n", 0, self.start_line_bytes + 1) < 0:
            raise _long_start_line(self)
        if len(text) > self.head_bytes:
            raise _refuse(f"headers of more than {self.head_bytes} bytes")


DEFAULT_LIMITS = Limits()

ONLY_1 = frozenset({RTSP_VERSION})
BOTH_VERSIONS = ONLY_1 | {RTSP_VERSION_2}


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageHead:
    """A message without its body. `message` has an empty one; `body_size` is the Content-Length."""

    message: Request | Response
    body_size: int
    cseq: int | None

    def with_body(self, body: bytes) -> Request | Response:
        """The message with this body."""
        head = self.message
        if not body:
            return head
        if isinstance(head, Request):
            return Request(method=head.method, url=head.url, headers=head.headers, body=body, version=head.version)
        return Response(status=head.status, reason=head.reason, headers=head.headers, body=body, version=head.version)


def find_head_end(text: bytearray, known: int) -> int | None:
    """Where the body begins, past the blank line; None when it has not come. `known` bytes were searched before."""
    found = _HEAD_END.search(text, max(0, known - _LONGEST_HEAD_END))
    return found.end() if found else None


def parse_head(data: bytes, limits: Limits, versions: frozenset[str] = ONLY_1) -> MessageHead:
    """Parse start line and headers, blank line included. Raises RTSPParseError."""
    limits.check_unfinished_head(data)
    text = data.decode("utf-8", "surrogateescape")
    text = text.rstrip("\r\n")
    start_line, *lines = [line.removesuffix("\r") for line in text.split("\n")]
    if _CONTROL_IN_HEAD.search(text):
        _refuse_control(lines)
    headers = _parse_headers(lines, limits)
    cseq = parse_cseq(headers)
    try:
        message = _parse_start_line(start_line, headers, limits, versions)
        if isinstance(message, Request) and cseq is None:
            raise _refuse("a request without a CSeq number")
        return MessageHead(message=message, body_size=_body_size(headers), cseq=cseq)
    except RTSPParseError as error:
        error.cseq = cseq
        raise


def _parse_start_line(line: str, headers: Headers, limits: Limits, versions: frozenset[str]) -> Request | Response:
    if len(line) > limits.start_line_bytes:
        raise _long_start_line(limits)
    if _CONTROL.search(line):
        raise _refuse("a control character in the start line")
    if status_line := _STATUS_LINE.fullmatch(line):
        version, status, reason = status_line.groups(default="")
        _check_version(version, versions)
        return Response(status=int(status), reason=reason, headers=headers, version=version)
    if request_line := _REQUEST_LINE.fullmatch(line):
        method, url, version = request_line.groups()
        _check_version(version, versions)
        return Request(method=method, url=url, headers=headers, version=version)
    raise _refuse("not an RTSP start line")


def _check_version(version: str, known: frozenset[str]) -> None:
    if version not in known:
        raise RTSPParseError(
            StatusCode.RTSP_VERSION_NOT_SUPPORTED, f"{version} is not supported, {' and '.join(sorted(known))} is"
        )


def _refuse_control(header_lines: list[str]) -> None:
    """Raises RTSPParseError for a control character in a header; one in the start line is looked for with that."""
    if any(_CONTROL.search(line) for line in header_lines):
        raise _refuse("a control character in a header")


def _parse_headers(lines: list[str], limits: Limits) -> Headers:
    if len(lines) > limits.headers:
        raise _refuse(f"more than {limits.headers} headers")
    items: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and items:
            name, value = items[-1]
            items[-1] = (name, f"{value} {line.strip(_BLANKS)}".strip(_BLANKS))
        elif parts := _HEADER_LINE.fullmatch(line):
            items.append((parts[1], parts[2].rstrip(_BLANKS)))
        else:
            raise _refuse("a header line without a name")
    return Headers.trusted(items)


def _body_size(headers: Headers) -> int:
    values = {value.strip() for value in headers.get_all("Content-Length")}
    if not values:
        return 0
    text = values.pop()
    if values or not (text.isascii() and text.isdigit()):
        raise _refuse("a Content-Length that is no single number")
    # Beyond any limit, and beyond what Python converts: as large a number says the same.
    return int(text) if len(text) <= _MAX_LENGTH_DIGITS else 10**_MAX_LENGTH_DIGITS


def _long_start_line(limits: Limits) -> RTSPParseError:
    return RTSPParseError(
        StatusCode.REQUEST_URI_TOO_LARGE, f"a start line of more than {limits.start_line_bytes} bytes"
    )


def _refuse(message: str) -> RTSPParseError:
    return RTSPParseError(StatusCode.BAD_REQUEST, message)
