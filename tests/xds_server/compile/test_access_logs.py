"""The lines of access logs are as their documentation says."""

from __future__ import annotations

import re
from pathlib import Path

from envoy.extensions.access_loggers.stream.v3 import stream_pb2

from mesh.gateways import AccessLog, TransportProtocol
from xds_server.compile.access_logs import access_log

PAGE = (Path(__file__).parents[3] / "docs" / "documents.md").read_text()


def _fields(protocol: TransportProtocol) -> set[str]:
    entry = access_log(AccessLog(), "gateway/default/edge/game", "default/game", protocol)
    made = stream_pb2.StdoutAccessLog()
    assert entry.typed_config.Unpack(made)
    return set(made.log_format.json_format)


def test_every_field_is_documented() -> None:
    section = PAGE.partition("Each line of the access log")[2].partition("Why these defaults")[0]
    rows = re.findall(r"^\| (`.*?) \| (\w*) ?\|", section, re.MULTILINE)
    documented = {name: only for cell, only in rows for name in re.findall(r"`(\w+)`", cell)}
    assert documented.keys() == _fields(TransportProtocol.UDP)
    assert {name for name, only in documented.items() if only != "UDP"} == _fields(TransportProtocol.TCP)
