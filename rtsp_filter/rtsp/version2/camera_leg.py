"""A camera that speaks RTSP 2.0, to a client that thinks in RTSP 1.0."""

from __future__ import annotations

from dataclasses import replace

from rtsp_filter.rtsp.headers import Headers
from rtsp_filter.rtsp.messages import RTSP_VERSION, RTSP_VERSION_2, Method, Request, Response
from rtsp_filter.rtsp.transport import LowerTransport, TransportSpec, encode_transports, parse_transports
from rtsp_filter.rtsp.version2.media import ACCEPT_RANGES
from rtsp_filter.rtsp.version2.rtp_info import rtp_info_to_1
from rtsp_filter.rtsp.version2.statuses import with_status_of_1
from rtsp_filter.rtsp.version2.transport import to_addresses, to_ports

# What clients of RTSP 1.0 have never heard of.
_ONLY_2 = frozenset(
    {"accept-ranges", "media-properties", "media-range", "pipelined-requests", "seek-style", "supported"}
)


class CameraLeg:
    """One connection to a camera that was found to speak RTSP 2.0."""

    def request(self, request: Request) -> Request:
        """A request as RTSP 2.0 has it."""
        headers = request.headers.copy()
        if request.method == Method.SETUP:
            headers.set("Accept-Ranges", headers.get("Accept-Ranges") or ACCEPT_RANGES)
            specs = parse_transports(headers.get("Transport") or "")
            headers.set("Transport", encode_transports(tuple(form for spec in specs for form in _forms(spec))))
        return replace(request, version=RTSP_VERSION_2, headers=headers)

    def response(self, response: Response) -> Response:
        """The camera's answer as RTSP 1.0 has it."""
        headers = Headers.trusted(
            [(name, value) for name, value in response.headers.items() if name.lower() not in _ONLY_2]
        )
        if (granted := headers.get("Transport")) is not None:
            ports = (to_ports(spec) for spec in parse_transports(granted))
            headers.set("Transport", encode_transports(tuple(spec for spec in ports if spec is not None)))
        if (info := headers.get("RTP-Info")) is not None:
            headers.set("RTP-Info", rtp_info_to_1(info))
        return with_status_of_1(replace(response, version=RTSP_VERSION, headers=headers))


def _forms(spec: TransportSpec) -> tuple[TransportSpec, ...]:
    """For UDP, in the words of RTSP 1.0 too, and first: GStreamer knows no others in 2.0 either, and takes the first
    entry that it thinks it knows; a server that keeps to RFC 7826 goes on to the one that it understands."""
    return (spec,) if spec.lower is LowerTransport.TCP else (spec, to_addresses(spec))
