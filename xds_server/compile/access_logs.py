"""Access logs of gateways: a line of JSON for every session, when it ends.

Envoy API: extensions.access_loggers.file.v3.FileAccessLog, extensions.access_loggers.stream.v3.StdoutAccessLog;
operators: configuration/observability/access_log/usage in Envoy's documentation.
"""

from __future__ import annotations

from typing import Any

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import substitution_format_string_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2
from envoy.extensions.access_loggers.stream.v3 import stream_pb2

from mesh.gateways import AccessLog, TransportProtocol
from xds_server.compile.envoy_parts import packed

# Durations are milliseconds. "flags" says why a session was refused: UO over the limit, UH no healthy endpoint.
_FIELDS = {
    "start": "%START_TIME%",
    "duration_ms": "%DURATION%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "local": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "endpoint": "%UPSTREAM_HOST%",
    "upstream_local": "%UPSTREAM_LOCAL_ADDRESS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "flags": "%RESPONSE_FLAGS%",
}
# Seen from the client: received from it, sent to it.
_UDP_FIELDS = {
    "datagrams_received": "%DYNAMIC_METADATA(udp.proxy.session:datagrams_received)%",
    "datagrams_sent": "%DYNAMIC_METADATA(udp.proxy.session:datagrams_sent)%",
    "errors_sent": "%DYNAMIC_METADATA(udp.proxy.session:errors_sent)%",
}
# Of UDP Envoy would log each datagram that it refuses as a session of its own: a flood of them would fill the disk.
# They are counted (upstream_cx_overflow, upstream_cx_none_healthy). 65536 is SI, the end of an idle session whose time
# is limited too (session_loop.py); of other sessions Envoy flags no end.
_ACCEPTED = "response.flags == 0 || response.flags == 65536"


def access_log(log: AccessLog, listener: str, route: str, protocol: TransportProtocol) -> Any:
    """The AccessLog of the listener named `listener`, whose sessions belong to `route`."""
    line = substitution_format_string_pb2.SubstitutionFormatString()
    line.json_format.update({"listener": listener, "route": route, "protocol": protocol.value, **_FIELDS})
    if protocol is TransportProtocol.UDP:
        line.json_format.update(_UDP_FIELDS)
    if log.path is None:
        made: Any = stream_pb2.StdoutAccessLog(log_format=line)
        name = "envoy.access_loggers.stdout"
    else:
        made = file_pb2.FileAccessLog(path=log.path, log_format=line)
        name = "envoy.access_loggers.file"
    entry = accesslog_pb2.AccessLog(name=name, typed_config=packed(made))
    if protocol is TransportProtocol.UDP:
        entry.filter.extension_filter.name = "envoy.access_loggers.extension_filters.cel"
        entry.filter.extension_filter.typed_config.CopyFrom(packed(cel_pb2.ExpressionFilter(expression=_ACCEPTED)))
    return entry
