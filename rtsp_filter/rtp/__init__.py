"""RTP without I/O: packets, control packets, reception statistics, payload formats and the bundled clip."""

from rtsp_filter.rtp.clip import AccessUnit, Clip, ClipTrack
from rtsp_filter.rtp.errors import RTPError
from rtsp_filter.rtp.packet import HeaderExtension, RTPHeader, RTPPacket, build_header, parse_header
from rtsp_filter.rtp.payload import Payload

__all__ = [
    "AccessUnit",
    "Clip",
    "ClipTrack",
    "HeaderExtension",
    "Payload",
    "RTPError",
    "RTPHeader",
    "RTPPacket",
    "build_header",
    "parse_header",
]
