"""RTSP 2.0 (RFC 7826) at the edge of a connection: inside, all messages have the shape of RTSP 1.0.

The two versions share their grammar, methods and states, and differ in headers; so a leg of either version is a
translation of single messages, with what little it has to remember of those before. `PlayerLeg` is for who answers
requests, `CameraLeg` for who sends them.
"""

from rtsp_filter.rtsp.version2.camera_leg import CameraLeg
from rtsp_filter.rtsp.version2.media import MediaProperties, media_properties
from rtsp_filter.rtsp.version2.notify import PLAY_NOTIFY, NotifyReason, PlayNotify
from rtsp_filter.rtsp.version2.player_leg import PlayerLeg

__all__ = [
    "PLAY_NOTIFY",
    "CameraLeg",
    "MediaProperties",
    "NotifyReason",
    "PlayNotify",
    "PlayerLeg",
    "media_properties",
]
