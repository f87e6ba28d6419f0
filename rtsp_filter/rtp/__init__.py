"""RTP without I/O: packets, control packets, reception statistics, payload formats and the bundled clip."""

from rtsp_filter.rtp import clock
from rtsp_filter.rtp.clip import AccessUnit, Clip, ClipTrack
from rtsp_filter.rtp.errors import RTPError
from rtsp_filter.rtp.packet import HeaderExtension, RTPHeader, RTPPacket, build_header, parse_header
from rtsp_filter.rtp.payload import Payload
from rtsp_filter.rtp.reception import ReceptionFigures, ReceptionStatistics
from rtsp_filter.rtp.rtcp import (
    ExtendedReport,
    Goodbye,
    RawPacket,
    ReceiverReport,
    ReportBlock,
    RTCPPacket,
    SenderReport,
    SourceDescription,
    SourceDescriptionChunk,
    parse_compound,
    serialize_compound,
)
from rtsp_filter.rtp.xr import (
    DelaySinceLastReceiverReport,
    LastReceiverReport,
    RawBlock,
    ReceiverReferenceTime,
    XRBlock,
)

__all__ = [
    "AccessUnit",
    "Clip",
    "ClipTrack",
    "DelaySinceLastReceiverReport",
    "ExtendedReport",
    "Goodbye",
    "HeaderExtension",
    "LastReceiverReport",
    "Payload",
    "RTCPPacket",
    "RTPError",
    "RTPHeader",
    "RTPPacket",
    "RawBlock",
    "RawPacket",
    "ReceiverReferenceTime",
    "ReceiverReport",
    "ReceptionFigures",
    "ReceptionStatistics",
    "ReportBlock",
    "SenderReport",
    "SourceDescription",
    "SourceDescriptionChunk",
    "XRBlock",
    "build_header",
    "clock",
    "parse_compound",
    "parse_header",
    "serialize_compound",
]
