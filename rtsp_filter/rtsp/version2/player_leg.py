"""A player that speaks RTSP 2.0, to a server that thinks in RTSP 1.0.

What a stream is like, which SSRC a track has and which session a pipeline means is learnt from the answers that pass
by. GStreamer says 2.0 and writes Transport and RTP-Info as 1.0 has them; it gets them as it writes them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from rtsp_filter.rtsp.errors import RTSPError, SDPError, URLError
from rtsp_filter.rtsp.features import option_tags
from rtsp_filter.rtsp.headers import Headers
from rtsp_filter.rtsp.messages import RTSP_VERSION, RTSP_VERSION_2, Method, Request, Response
from rtsp_filter.rtsp.sdp import SessionDescription
from rtsp_filter.rtsp.session_header import SessionHeader
from rtsp_filter.rtsp.status import StatusCode
from rtsp_filter.rtsp.transport import LowerTransport, TransportSpec, encode_transports, parse_ssrc, parse_transports
from rtsp_filter.rtsp.url import RTSPURL
from rtsp_filter.rtsp.version2.media import (
    SEEK_STYLE,
    SERVED_RANGES,
    SUPPORTED,
    MediaProperties,
    media_properties,
)
from rtsp_filter.rtsp.version2.rtp_info import rtp_info_to_2
from rtsp_filter.rtsp.version2.statuses import with_status_of_2
from rtsp_filter.rtsp.version2.transport import names_addresses, to_addresses, to_ports

MAX_REMEMBERED = 64
"""Streams, tracks and pipelines that are remembered of one connection; players have one stream with a few tracks."""

# RTSP 2.0 has no publishing (RFC 7826, I.2).
_GONE = frozenset({Method.ANNOUNCE, Method.RECORD})
# What servers of RTSP 1.0 have never heard of, and need not: it is answered here.
_ANSWERED_HERE = frozenset({"accept-ranges", "pipelined-requests", "seek-style", "supported", "proxy-supported"})
_NOW = "npt=now-"

T = TypeVar("T")


class PlayerLeg:
    """One connection of a player. Messages of RTSP 1.0 pass as they are."""

    def __init__(self) -> None:
        self._sessions: dict[str, str] = {}
        self._properties: dict[str, MediaProperties] = {}
        self._ssrcs: dict[str, int] = {}
        self._writes_ports = False
        self.speaks_version2 = False

    def receive(self, request: Request) -> Request:
        """A request as RTSP 1.0 has it. Call this when its turn has come: a pipelined one needs the answers before.

        Raises RTSPError for a method that RTSP 2.0 does not have.
        """
        self.speaks_version2 = request.version == RTSP_VERSION_2
        if not self.speaks_version2:
            return request
        if request.method in _GONE:
            raise RTSPError(f"RTSP 2.0 has no {request.method}", status=StatusCode.NOT_IMPLEMENTED)
        headers = Headers(
            (name, value) for name, value in request.headers.items() if name.lower() not in _ANSWERED_HERE
        )
        if (offered := headers.get("Transport")) is not None:
            headers.set("Transport", self._read_offer(offered))
        session = self._sessions.get(request.headers.get("Pipelined-Requests") or "")
        if session is not None and "Session" not in headers:
            headers.add("Session", session)
        _drop_what_is_there(headers)
        return replace(request, version=RTSP_VERSION, headers=headers)

    def request(self, request: Request) -> Request:
        """A request to a player that has spoken in `receive`, in that player's version."""
        if not self.speaks_version2:
            return request
        headers = request.headers.copy()
        headers.remove("RTP-Info")  # as RTSP 1.0 has it; what ends or changes is told by the rest
        return replace(request, version=RTSP_VERSION_2, headers=headers)

    def answer(self, asked: Request, response: Response) -> Response:
        """The answer in the version of `asked`, which is the request as it came."""
        if asked.version == RTSP_VERSION:
            return response
        headers = response.headers.copy()
        if response.status == StatusCode.OK:
            self._complete(asked, response, headers)
        if response.status == StatusCode.HEADER_FIELD_NOT_VALID_FOR_RESOURCE:
            headers.set("Accept-Ranges", SERVED_RANGES)
        for name, value in (("Pipelined-Requests", asked.headers.get("Pipelined-Requests")), ("Supported", SUPPORTED)):
            if name in asked.headers and value is not None:
                headers.set(name, value)
        return with_status_of_2(replace(response, version=RTSP_VERSION_2, headers=headers))

    def _read_offer(self, offered: str) -> str:
        specs = parse_transports(offered)
        self._writes_ports |= any(spec.client_port is not None for spec in specs)
        usable = (to_ports(spec) for spec in specs)
        return encode_transports(tuple(spec for spec in usable if spec is not None))

    def _complete(self, asked: Request, response: Response, headers: Headers) -> None:
        """Add to the headers of an answer what RTSP 2.0 wants there, and learn from it."""
        match asked.method:
            case Method.OPTIONS:
                self._complete_options(headers)
            case Method.DESCRIBE:
                self._learn_properties(asked, response)
            case Method.SETUP:
                self._complete_setup(asked, headers)
            case Method.PLAY:
                self._complete_play(asked, headers)

    def _complete_options(self, headers: Headers) -> None:
        public = [method.strip() for method in (headers.get("Public") or "").split(",")]
        headers.set("Public", ", ".join(method for method in public if method and method not in _GONE))

    def _learn_properties(self, asked: Request, response: Response) -> None:
        try:
            _remember(self._properties, _key(asked.url), media_properties(SessionDescription.parse(response.body)))
        except SDPError:
            return

    def _complete_setup(self, asked: Request, headers: Headers) -> None:
        granted = next(iter(parse_transports(headers.get("Transport") or "")), None)
        if granted is not None:
            self._complete_transport(asked, granted, headers)
        headers.set("Accept-Ranges", headers.get("Accept-Ranges") or SERVED_RANGES)
        headers.set("Media-Properties", headers.get("Media-Properties") or self._properties_of(asked.url).encode())
        pipeline = asked.headers.get("Pipelined-Requests")
        session = headers.get("Session")
        if pipeline is not None and session is not None:
            _remember(self._sessions, pipeline, SessionHeader.parse(session).id)

    def _complete_transport(self, asked: Request, granted: TransportSpec, headers: Headers) -> None:
        ssrc = parse_ssrc(granted.ssrc)
        if ssrc is not None:
            _remember(self._ssrcs, _key(asked.url), ssrc)
        wrote_addresses = any(map(names_addresses, parse_transports(asked.headers.get("Transport") or "")))
        if granted.lower is LowerTransport.UDP and wrote_addresses:
            headers.set("Transport", to_addresses(granted).encode())

    def _complete_play(self, asked: Request, headers: Headers) -> None:
        headers.set("Range", headers.get("Range") or asked.headers.get("Range") or _NOW)
        if "Seek-Style" in asked.headers:
            headers.set("Seek-Style", headers.get("Seek-Style") or SEEK_STYLE)
        info = headers.get("RTP-Info")
        if info is None or self._writes_ports:
            return
        written = rtp_info_to_2(info, lambda url: self._ssrcs.get(_key(url)))
        if written is None:
            headers.remove("RTP-Info")
        else:
            headers.set("RTP-Info", written)

    def _properties_of(self, url: str) -> MediaProperties:
        """Those of the stream that a track belongs to. What was not described is taken to be live."""
        key = _key(url)
        known = [(len(stream), properties) for stream, properties in self._properties.items() if key.startswith(stream)]
        return max(known, key=lambda item: item[0])[1] if known else MediaProperties(live=True)


def _drop_what_is_there(headers: Headers) -> None:
    """A server of RTSP 1.0 can do what it was written for without knowing the tag for that."""
    required = option_tags(headers.get_all("Require"))
    left = [tag for tag in required if tag != SUPPORTED]
    if left:
        headers.set("Require", ", ".join(left))
    elif required:
        headers.remove("Require")


def _remember(memory: dict[str, T], key: str, value: T) -> None:
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > MAX_REMEMBERED:
        del memory[next(iter(memory))]


def _key(url: str) -> str:
    try:
        return RTSPURL.parse(url).target.rstrip("/")
    except URLError:
        return url.rstrip("/")
