"""Whom cameras are verified by, and how it is told that one is not trusted."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from envoy.config.cluster.v3 import cluster_pb2

from mesh.model import BackendTLS
from rtsp_filter.proxy.cameras.trust import context_for, why_not_trusted
from rtsp_filter.proxy.routes import check
from rtsp_filter.xds import ResourceRefusedError
from tests.peers.certificates import make_certificate
from xds_server.compile.backend_tls import set_tls


def test_a_context_verifies_by_the_authorities_that_were_given_and_no_others(tmp_path: Path) -> None:
    pem = make_certificate(tmp_path, "ca").chain.read_text()
    context = context_for(BackendTLS(hostname="cam", authorities=pem))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1
    assert context_for(BackendTLS(hostname="other", authorities=pem)) is context
    assert context_for(BackendTLS(hostname="cam")) is not context


def test_a_cluster_whose_authorities_are_none_is_refused() -> None:
    cluster = cluster_pb2.Cluster(name="lobby", type=cluster_pb2.Cluster.EDS)
    pem = "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n"
    set_tls(cluster, BackendTLS(hostname="cam", authorities=pem))
    with pytest.raises(ResourceRefusedError, match="cluster lobby: trusted_ca cannot be used"):
        check(cluster)


def test_what_openssl_says_is_told_as_it_is() -> None:
    error = ssl.SSLError(1, "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version")
    assert why_not_trusted(error, BackendTLS(hostname="cam")).startswith("TLS failed: ")
