"""The bundled camera: an RTSP server that plays a clip for ever."""

from rtsp_filter.camera.server import Camera
from rtsp_filter.camera.settings import CameraSettings

__all__ = ["Camera", "CameraSettings"]
