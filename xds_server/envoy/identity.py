"""Mutual TLS towards the control plane, with keys that a SPIFFE Workload API hands out.

Envoy asks the socket of the SPIRE agent for its certificate and for the certificates of those it may trust, by the
secret discovery service; both are renewed while it runs, and neither is ever in a file. Which workload answers as the
control plane is checked by its SPIFFE ID.

Sources: Envoy API, extensions.transport_sockets.tls.v3.UpstreamTlsContext; the names of the secrets are SPIRE's own
(SPIRE agent configuration, `sds.default_svid_name` and `sds.default_bundle_name`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xds_server.envoy.upstreams import SocketPath, grpc_cluster

AGENT_CLUSTER = "spire_agent"
_CERTIFICATE = "default"
_TRUSTED = "ROOTCA"
_TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
SPIFFE_SCHEME = "spiffe://"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadIdentity:
    """agent: the Workload API's socket. server: the SPIFFE ID that the control plane has.

    A `server` that ends with a slash, such as `spiffe://example.org/`, admits every workload below it.
    """

    agent: SocketPath
    server: str


def agent_cluster(identity: WorkloadIdentity) -> dict[str, Any]:
    """Where Envoy gets its keys."""
    return grpc_cluster(AGENT_CLUSTER, identity.agent)


def transport_socket(identity: WorkloadIdentity) -> dict[str, Any]:
    """TLS for the control plane's cluster (config.core.v3.TransportSocket)."""
    pattern = "prefix" if identity.server.endswith("/") else "exact"
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"type.googleapis.com/{_TLS}",
            "common_tls_context": {
                "alpn_protocols": ["h2"],
                "tls_certificate_sds_secret_configs": [_secret(_CERTIFICATE)],
                "combined_validation_context": {
                    "default_validation_context": {
                        "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {pattern: identity.server}}]
                    },
                    "validation_context_sds_secret_config": _secret(_TRUSTED),
                },
            },
        },
    }


def _secret(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "sds_config": {
            "resource_api_version": "V3",
            "api_config_source": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": AGENT_CLUSTER}}],
            },
        },
    }
