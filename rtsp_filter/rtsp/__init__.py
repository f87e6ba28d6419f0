"""RTSP 1.0 (RFC 2326) and 2.0 (RFC 7826) without I/O: messages, headers, URLs, descriptions, and both ends of a
connection."""

from rtsp_filter.rtsp.auth import Authenticator, Challenge, Credentials, Scheme, parse_challenges
from rtsp_filter.rtsp.auth_server import Gate, Secret, UnauthorizedError
from rtsp_filter.rtsp.client import (
    ClientCore,
    ClientEvent,
    KeepaliveDue,
    RequestTimedOut,
    ResponseReceived,
    ServerRequest,
)
from rtsp_filter.rtsp.control import (
    aggregate_url,
    base_url,
    control_forms,
    is_absolute,
    resolve,
    track_url,
)
from rtsp_filter.rtsp.errors import (
    Fault,
    LocalError,
    RTSPError,
    RTSPParseError,
    SDPError,
    StateError,
    TransportError,
    URLError,
)
from rtsp_filter.rtsp.features import option_tags, unsupported
from rtsp_filter.rtsp.frames import FrameAssembler, Payload, encode_frame, encode_frames
from rtsp_filter.rtsp.head import BOTH_VERSIONS, Limits
from rtsp_filter.rtsp.headers import Headers
from rtsp_filter.rtsp.messages import (
    InterleavedChunk,
    Method,
    Request,
    Response,
    respond,
    response_for,
)
from rtsp_filter.rtsp.nonces import NONCE_SECONDS, Nonces
from rtsp_filter.rtsp.parser import Event, Parser
from rtsp_filter.rtsp.redirect import MAX_REDIRECTS, RedirectError, Redirects
from rtsp_filter.rtsp.rtp_info import RTPInfo, encode_rtp_info, parse_rtp_info, rewrite_rtp_info
from rtsp_filter.rtsp.sdp import MediaDescription, RTPMap, SessionDescription
from rtsp_filter.rtsp.session_header import DEFAULT_SESSION_TIMEOUT, SessionHeader
from rtsp_filter.rtsp.states import STATELESS, TRANSITIONS, State, next_state
from rtsp_filter.rtsp.status import StatusCode
from rtsp_filter.rtsp.transport import (
    Delivery,
    LowerTransport,
    Pair,
    TransportSpec,
    encode_transports,
    parse_ssrc,
    parse_transports,
)
from rtsp_filter.rtsp.url import RTSPURL
from rtsp_filter.rtsp.version2 import PLAY_NOTIFY, PlayerLeg

__all__ = [
    "BOTH_VERSIONS",
    "DEFAULT_SESSION_TIMEOUT",
    "MAX_REDIRECTS",
    "NONCE_SECONDS",
    "PLAY_NOTIFY",
    "RTSPURL",
    "STATELESS",
    "TRANSITIONS",
    "Authenticator",
    "Challenge",
    "ClientCore",
    "ClientEvent",
    "Credentials",
    "Delivery",
    "Event",
    "Fault",
    "FrameAssembler",
    "Gate",
    "Headers",
    "InterleavedChunk",
    "KeepaliveDue",
    "Limits",
    "LocalError",
    "LowerTransport",
    "MediaDescription",
    "Method",
    "Nonces",
    "Pair",
    "Parser",
    "Payload",
    "PlayerLeg",
    "RTPInfo",
    "RTPMap",
    "RTSPError",
    "RTSPParseError",
    "RedirectError",
    "Redirects",
    "Request",
    "RequestTimedOut",
    "Response",
    "ResponseReceived",
    "SDPError",
    "Scheme",
    "Secret",
    "ServerRequest",
    "SessionDescription",
    "SessionHeader",
    "State",
    "StateError",
    "StatusCode",
    "TransportError",
    "TransportSpec",
    "URLError",
    "UnauthorizedError",
    "aggregate_url",
    "base_url",
    "control_forms",
    "encode_frame",
    "encode_frames",
    "encode_rtp_info",
    "encode_transports",
    "is_absolute",
    "next_state",
    "option_tags",
    "parse_challenges",
    "parse_rtp_info",
    "parse_ssrc",
    "parse_transports",
    "resolve",
    "respond",
    "response_for",
    "rewrite_rtp_info",
    "track_url",
    "unsupported",
]
