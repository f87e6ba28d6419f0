"""Status codes of RTSP and their reason phrases (RFC 2326, 7.1.1; RFC 7826, 17)."""

from __future__ import annotations

from enum import IntEnum


class StatusCode(IntEnum):
    """A status code of RTSP 1.0 or 2.0. Peers may send others, so messages carry a plain int."""

    CONTINUE = 100
    OK = 200
    CREATED = 201
    LOW_ON_STORAGE_SPACE = 250
    MULTIPLE_CHOICES = 300
    MOVED_PERMANENTLY = 301
    MOVED_TEMPORARILY = 302
    SEE_OTHER = 303
    NOT_MODIFIED = 304
    USE_PROXY = 305
    BAD_REQUEST = 400
    UNAUTHORIZED = 401
    PAYMENT_REQUIRED = 402
    FORBIDDEN = 403
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405
    NOT_ACCEPTABLE = 406
    PROXY_AUTHENTICATION_REQUIRED = 407
    REQUEST_TIME_OUT = 408
    GONE = 410
    LENGTH_REQUIRED = 411
    PRECONDITION_FAILED = 412
    REQUEST_ENTITY_TOO_LARGE = 413
    REQUEST_URI_TOO_LARGE = 414
    UNSUPPORTED_MEDIA_TYPE = 415
    PARAMETER_NOT_UNDERSTOOD = 451
    CONFERENCE_NOT_FOUND = 452
    NOT_ENOUGH_BANDWIDTH = 453
    SESSION_NOT_FOUND = 454
    METHOD_NOT_VALID_IN_THIS_STATE = 455
    HEADER_FIELD_NOT_VALID_FOR_RESOURCE = 456
    INVALID_RANGE = 457
    PARAMETER_IS_READ_ONLY = 458
    AGGREGATE_OPERATION_NOT_ALLOWED = 459
    ONLY_AGGREGATE_OPERATION_ALLOWED = 460
    UNSUPPORTED_TRANSPORT = 461
    DESTINATION_UNREACHABLE = 462
    DESTINATION_PROHIBITED = 463
    DATA_TRANSPORT_NOT_READY_YET = 464
    NOTIFICATION_REASON_UNKNOWN = 465
    KEY_MANAGEMENT_ERROR = 466
    CONNECTION_AUTHORIZATION_REQUIRED = 470
    CONNECTION_CREDENTIALS_NOT_ACCEPTED = 471
    FAILURE_TO_ESTABLISH_SECURE_CONNECTION = 472
    INTERNAL_SERVER_ERROR = 500
    NOT_IMPLEMENTED = 501
    BAD_GATEWAY = 502
    SERVICE_UNAVAILABLE = 503
    GATEWAY_TIME_OUT = 504
    RTSP_VERSION_NOT_SUPPORTED = 505
    OPTION_NOT_SUPPORTED = 551
    PROXY_UNAVAILABLE = 553

    @property
    def reason(self) -> str:
        """The reason phrase, as the RFC spells it."""
        return _PHRASES.get(self) or self.name.replace("_", " ").title()


_PHRASES = {
    StatusCode.OK: "OK",
    StatusCode.LOW_ON_STORAGE_SPACE: "Low on Storage Space",
    StatusCode.REQUEST_TIME_OUT: "Request Time-out",
    StatusCode.REQUEST_URI_TOO_LARGE: "Request-URI Too Large",
    StatusCode.NOT_ENOUGH_BANDWIDTH: "Not Enough Bandwidth",
    StatusCode.METHOD_NOT_VALID_IN_THIS_STATE: "Method Not Valid in This State",
    StatusCode.HEADER_FIELD_NOT_VALID_FOR_RESOURCE: "Header Field Not Valid for Resource",
    StatusCode.PARAMETER_IS_READ_ONLY: "Parameter Is Read-Only",
    StatusCode.AGGREGATE_OPERATION_NOT_ALLOWED: "Aggregate operation not allowed",
    StatusCode.ONLY_AGGREGATE_OPERATION_ALLOWED: "Only aggregate operation allowed",
    StatusCode.UNSUPPORTED_TRANSPORT: "Unsupported transport",
    StatusCode.DESTINATION_UNREACHABLE: "Destination unreachable",
    StatusCode.FAILURE_TO_ESTABLISH_SECURE_CONNECTION: "Failure to Establish Secure Connection",
    StatusCode.GATEWAY_TIME_OUT: "Gateway Time-out",
    StatusCode.RTSP_VERSION_NOT_SUPPORTED: "RTSP Version not supported",
    StatusCode.OPTION_NOT_SUPPORTED: "Option not supported",
}
