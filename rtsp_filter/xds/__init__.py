"""The xDS client of an RTSP proxy: where its routes, clusters and endpoints come from."""

from rtsp_filter.xds.core import XdsCore, XdsState, assignment_name
from rtsp_filter.xds.delta import ResourceRefusedError
from rtsp_filter.xds.shell import XdsClient

__all__ = ["ResourceRefusedError", "XdsClient", "XdsCore", "XdsState", "assignment_name"]
