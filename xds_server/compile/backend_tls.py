"""How servers of a backend prove who they are → the transport socket of its Cluster.

Envoy API: config.cluster.v3.Cluster.transport_socket, extensions.transport_sockets.tls.v3.UpstreamTlsContext.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2

from mesh.model import BackendTLS
from xds_server.compile.envoy_parts import packed

_Matcher = common_pb2.SubjectAltNameMatcher


def set_tls(cluster: Any, tls: BackendTLS) -> None:
    """Have the servers of a Cluster spoken to by TLS, and verified."""
    context = tls_pb2.UpstreamTlsContext()
    validation = context.common_tls_context.validation_context
    matcher = validation.match_typed_subject_alt_names.add()
    matcher.matcher.exact = tls.hostname
    if _is_address(tls.hostname):
        matcher.san_type = _Matcher.IP_ADDRESS
    else:
        matcher.san_type = _Matcher.DNS
        context.sni = tls.hostname  # addresses are none (RFC 6066, section 3)
    if tls.authorities is None:
        validation.system_root_certs.SetInParent()
    else:
        validation.trusted_ca.inline_string = tls.authorities
    cluster.transport_socket.name = "envoy.transport_sockets.tls"
    cluster.transport_socket.typed_config.CopyFrom(packed(context))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
