"""RTSP over HTTP, as QuickTime began it (Apple, "Tunnelling RTSP and RTP through HTTP"): what is said on both halves.

A client opens two connections to the RTSP port and says on both, in `x-sessioncookie`, which belong together. The
answer to its GET never ends: it carries responses and media as they are. The body of its POST never ends either: it
carries requests and frames, in base64. The POST is never answered unless it is refused, and a client may close it and
go on with another. Pure: takes bytes, gives values.

A POST that reached another proxy than its GET is passed on by that one, with a *ticket* in place of the cookie: random,
and told by the proxy that has the GET to the control plane, and by it to who seeks that GET.

The HTTP in here is two messages of that custom, which clients send without `Host`, with lengths that they do not keep
and with no end; so it is read for what tunnels need, and not as HTTP.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from dataclasses import dataclass
from enum import Enum, auto

from rtsp_filter.proxy.limits import MAX_COOKIE, MAX_HTTP_HEAD
from rtsp_filter.rtsp import RTSPError, StatusCode

_HTTP_METHODS = (b"GET ", b"POST ")
# A TLS record of a handshake (RFC 8446, section 5.1). No RTSP begins with a control character.
_TLS_HANDSHAKE = 0x16
_HEAD_END = re.compile(rb"\n\r?\n")
_REQUEST_LINE = re.compile(rb"(GET|POST) \S+ HTTP/1\.[01]\s*")
_COOKIE = re.compile(rb"x-sessioncookie[ \t]*:[ \t]*(\S*)\s*", re.IGNORECASE)
_TICKET = re.compile(rb"x-msm-ticket: ([0-9a-f]{32})\r", re.IGNORECASE)
# QuickTime's, live555's, ffmpeg's and GStreamer's are made of letters and digits; a log can show these as they are.
_COOKIE_BYTES = re.compile(rb"[!-~]+")
_BLANKS = b" \t\r\n"
_PADDED_RUN = re.compile(rb"[^=]+={0,2}|=+")
_QUANTUM = 4
_NAME_BYTES = 16

ANSWERS_OPEN = (
    b"HTTP/1.0 200 OK\r\n"
    b"Connection: close\r\n"
    b"Cache-Control: no-store\r\n"
    b"Pragma: no-cache\r\n"
    b"Content-Type: application/x-rtsp-tunnelled\r\n"
    b"\r\n"
)
"""What a GET is answered, before responses and media."""


class TunnelError(RTSPError):
    """HTTP that is no tunnel of RTSP, or one that cannot be had."""


class Speech(Enum):
    """What a new connection speaks, by its first bytes."""

    RTSP = auto()
    HTTP = auto()
    TLS = auto()


class Half(Enum):
    """A tunnel's connections: responses and media go out on ANSWERS (GET), requests come in on REQUESTS (POST)."""

    ANSWERS = "GET"
    REQUESTS = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What the head of a half said: a cookie, or the ticket of a POST that another proxy passes on (else empty). `size`
    is the head's length in bytes."""

    half: Half
    cookie: str
    ticket: str = ""
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelKey:
    """What both halves of a tunnel have in common. A cookie is no secret, so it counts together with the address that
    it comes from, and with whether that came by TLS: nobody joins a half of somebody else."""

    address: str
    secure: bool
    cookie: str

    @property
    def name(self) -> bytes:
        """What proxies that have a half call the tunnel: who has none cannot tell it, nor the cookie from it."""
        text = f"{self.address} {'TLS' if self.secure else 'TCP'} {self.cookie}"
        return hashlib.sha256(text.encode()).digest()[:_NAME_BYTES]


def speech_of(data: bytes) -> Speech | None:
    """What a connection that began with `data` speaks; None where more bytes are needed to tell.

    What is neither HTTP nor TLS is for the RTSP parser to judge.
    """
    if data[:1] == bytes((_TLS_HANDSHAKE,)):
        return Speech.TLS
    if data.startswith(_HTTP_METHODS):
        return Speech.HTTP
    if any(method.startswith(data) for method in _HTTP_METHODS):
        return None
    return Speech.RTSP


def read_opening(data: bytes) -> Opening | None:
    """The head of a half; None where its end has not come. Raises TunnelError."""
    end = _HEAD_END.search(data, 0, MAX_HTTP_HEAD)
    if end is None:
        if len(data) >= MAX_HTTP_HEAD:
            raise TunnelError(
                f"an HTTP head of more than {MAX_HTTP_HEAD} bytes", status=StatusCode.REQUEST_ENTITY_TOO_LARGE
            )
        return None
    request, *headers = data[: end.start()].split(b"\n")
    line = _REQUEST_LINE.fullmatch(request)
    if line is None:
        raise TunnelError("not an HTTP/1 request line")
    half = Half(line[1].decode())
    ticket = next((found[1].decode() for header in headers if (found := _TICKET.fullmatch(header))), "")
    if ticket and half is Half.REQUESTS:
        return Opening(half=half, cookie="", ticket=ticket, size=end.end())
    return Opening(half=half, cookie=_cookie(headers), size=end.end())


def passed_on_head(ticket: str) -> bytes:
    """How a POST begins that is passed on to another proxy."""
    return f"POST / HTTP/1.0\r\nx-msm-ticket: {ticket}\r\n\r\n".encode()


def _cookie(headers: list[bytes]) -> str:
    cookies = {found[1] for header in headers if (found := _COOKIE.fullmatch(header))}
    if not cookies:
        raise TunnelError("this is an RTSP port: HTTP needs an x-sessioncookie here, as RTSP over HTTP has it")
    cookie = cookies.pop()
    if cookies or not _COOKIE_BYTES.fullmatch(cookie):
        raise TunnelError("an x-sessioncookie that is not one word")
    if len(cookie) > MAX_COOKIE:
        raise TunnelError(f"an x-sessioncookie of more than {MAX_COOKIE} bytes")
    return cookie.decode("ascii")


def refusal(error: TunnelError) -> bytes:
    """What a refused half is answered: HTTP's status numbers are RTSP's, and the reason is for people."""
    body = f"{error}\r\n".encode()
    return (
        f"HTTP/1.0 {int(error.status)} {error.status.reason}\r\n"
        "Connection: close\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        "\r\n"
    ).encode() + body


class Base64Stream:
    """Decodes base64 (RFC 4648) as it comes: any split, line ends anywhere, and padding after each of the texts that
    clients encode one by one."""

    def __init__(self) -> None:
        self._rest = b""

    def decode(self, data: bytes) -> bytes:
        """What `data` completes. Raises TunnelError for what is not base64."""
        text = self._rest + data.translate(None, _BLANKS)
        whole = len(text) - len(text) % _QUANTUM
        self._rest = text[whole:]
        try:
            return b"".join(binascii.a2b_base64(run, strict_mode=True) for run in _PADDED_RUN.findall(text[:whole]))
        except binascii.Error as error:
            raise TunnelError(f"the POST of a tunnel carried something that is not base64: {error}") from None
