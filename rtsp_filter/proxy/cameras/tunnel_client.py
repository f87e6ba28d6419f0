"""RTSP over HTTP from the client's side: what is said to a camera on both halves of a tunnel, and what it answers.

`tunnel` has the other side, and says how tunnels are. Pure: gives bytes, takes bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rtsp_filter.proxy.clients.tunnel import Half, TunnelError
from rtsp_filter.proxy.limits import MAX_HTTP_HEAD
from rtsp_filter.rtsp.client import USER_AGENT

_HEAD_END = re.compile(rb"\n\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: ([^\r]*))?\r?")
_CHALLENGE = re.compile(rb"www-authenticate[ \t]*:[ \t]*(.*?)\s*", re.IGNORECASE)
# The length of a body that has no end, as QuickTime had it, and cameras know it since.
_ENDLESS = 32767
_TYPE = "application/x-rtsp-tunnelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the camera answers to a half: its `challenges` are the values of WWW-Authenticate. `size` is the head's
    length in bytes; what follows is the tunnel's."""

    status: int
    reason: str
    challenges: tuple[str, ...]
    size: int


def question(half: Half, path: str, server: str, cookie: str, authorization: str | None) -> bytes:
    """The head of a half. `path` is what is asked for, `server` host:port."""
    lines = [
        f"{half.value} {path} HTTP/1.0",
        f"Host: {server}",
        f"User-Agent: {USER_AGENT}",
        f"x-sessioncookie: {cookie}",
        "Pragma: no-cache",
        "Cache-Control: no-cache",
    ]
    if half is Half.ANSWERS:
        lines.append(f"Accept: {_TYPE}")
    else:
        lines += [f"Content-Type: {_TYPE}", f"Content-Length: {_ENDLESS}"]
    if authorization is not None:
        lines.append(f"Authorization: {authorization}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def read_answer(data: bytes) -> Answer | None:
    """The answer that `data` begins with; None where its head has not ended. Raises TunnelError."""
    end = _HEAD_END.search(data, 0, MAX_HTTP_HEAD)
    if end is None:
        if len(data) >= MAX_HTTP_HEAD:
            raise TunnelError(f"an HTTP head of more than {MAX_HTTP_HEAD} bytes")
        return None
    status, *headers = data[: end.start()].split(b"\n")
    line = _STATUS_LINE.fullmatch(status)
    if line is None:
        raise TunnelError("it does not speak HTTP at this port")
    challenges = (found[1].decode("latin-1") for header in headers if (found := _CHALLENGE.fullmatch(header)))
    reason = (line[2] or b"").decode("latin-1")
    return Answer(status=int(line[1]), reason=reason, challenges=tuple(challenges), size=end.end())
