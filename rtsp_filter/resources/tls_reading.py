"""The transport socket of a Cluster → how its servers are spoken to by TLS, or a refusal.

Servers are always verified: by authorities of the message itself or those of the system, and for one name.

Envoy API: extensions.transport_sockets.tls.v3.UpstreamTlsContext, CertificateValidationContext.
"""

from __future__ import annotations

from typing import Any

from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2

from mesh.model import BackendTLS
from rtsp_filter.resources.reading import only

_Matcher = common_pb2.SubjectAltNameMatcher
_VALIDATION_FIELDS = {"trusted_ca", "system_root_certs", "match_typed_subject_alt_names"}


def read_tls(cluster: Any) -> BackendTLS | None:
    """None for a Cluster in the clear. Raises ValueError for what cannot be honoured."""
    if not cluster.HasField("transport_socket"):
        return None
    context = tls_pb2.UpstreamTlsContext()
    if not cluster.transport_socket.typed_config.Unpack(context):
        raise ValueError("Cluster.transport_socket must be an UpstreamTlsContext")
    only(context, {"common_tls_context", "sni"})
    only(context.common_tls_context, {"validation_context"})
    validation = context.common_tls_context.validation_context
    only(validation, _VALIDATION_FIELDS)
    hostname = _hostname(validation)
    if context.sni not in ("", hostname):
        raise ValueError("UpstreamTlsContext.sni must be the name that the certificate is for")
    return BackendTLS(hostname=hostname, authorities=_authorities(validation))


def _hostname(validation: Any) -> str:
    matchers = validation.match_typed_subject_alt_names
    if len(matchers) != 1 or matchers[0].san_type not in (_Matcher.DNS, _Matcher.IP_ADDRESS):
        raise ValueError(
            "CertificateValidationContext.match_typed_subject_alt_names must have one name, of type DNS or IP_ADDRESS"
        )
    only(matchers[0], {"san_type", "matcher"})
    only(matchers[0].matcher, {"exact"})
    if not matchers[0].matcher.exact or matchers[0].matcher.exact.startswith("."):
        raise ValueError('SubjectAltNameMatcher.matcher must be exact, not empty, and not begin with "."')
    return str(matchers[0].matcher.exact)


def _authorities(validation: Any) -> str | None:
    if validation.HasField("trusted_ca") is validation.HasField("system_root_certs"):
        raise ValueError("CertificateValidationContext needs trusted_ca or system_root_certs: servers are verified")
    if validation.HasField("system_root_certs"):
        return None
    only(validation.trusted_ca, {"inline_string"})
    if not validation.trusted_ca.inline_string:  # OpenSSL would take the system's for none
        raise ValueError("CertificateValidationContext.trusted_ca has no certificate")
    return str(validation.trusted_ca.inline_string)
