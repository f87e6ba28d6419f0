"""Status codes that only one version of RTSP has (RFC 7826, 17), and what stands for them in the other."""

from __future__ import annotations

from dataclasses import replace

from rtsp_filter.rtsp.messages import Response
from rtsp_filter.rtsp.status import StatusCode

_TO_1 = {
    StatusCode.DESTINATION_PROHIBITED: StatusCode.FORBIDDEN,
    StatusCode.DATA_TRANSPORT_NOT_READY_YET: StatusCode.METHOD_NOT_VALID_IN_THIS_STATE,
    StatusCode.NOTIFICATION_REASON_UNKNOWN: StatusCode.PARAMETER_NOT_UNDERSTOOD,
    StatusCode.KEY_MANAGEMENT_ERROR: StatusCode.UNSUPPORTED_TRANSPORT,
    StatusCode.CONNECTION_AUTHORIZATION_REQUIRED: StatusCode.BAD_GATEWAY,
    StatusCode.CONNECTION_CREDENTIALS_NOT_ACCEPTED: StatusCode.BAD_GATEWAY,
    StatusCode.FAILURE_TO_ESTABLISH_SECURE_CONNECTION: StatusCode.BAD_GATEWAY,
    StatusCode.PROXY_UNAVAILABLE: StatusCode.SERVICE_UNAVAILABLE,
}
_TO_2 = {
    StatusCode.LOW_ON_STORAGE_SPACE: StatusCode.OK,
    StatusCode.LENGTH_REQUIRED: StatusCode.BAD_REQUEST,
    StatusCode.CONFERENCE_NOT_FOUND: StatusCode.NOT_FOUND,
}


def with_status_of_1(response: Response) -> Response:
    """The answer with a status that RTSP 1.0 has; others stay, with their words."""
    return _mapped(response, _TO_1)


def with_status_of_2(response: Response) -> Response:
    """The answer with a status that RTSP 2.0 has; others stay, with their words."""
    return _mapped(response, _TO_2)


def _mapped(response: Response, table: dict[StatusCode, StatusCode]) -> Response:
    other = next((status for known, status in table.items() if known == response.status), None)
    return response if other is None else replace(response, status=int(other), reason=other.reason)
