"""What Envoy's API says of TLS towards servers is read, or refused by its field: nobody is trusted blindly."""

from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from google.protobuf import json_format

from mesh.model import BackendTLS
from rtsp_filter.resources.cluster_reading import read_cluster
from rtsp_filter.resources.reading import RouteTableError
from rtsp_filter.resources.secret_reading import read_credentials

UPSTREAM = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
NAME = {"san_type": "DNS", "matcher": {"exact": "cam.example"}}
CA: dict[str, Any] = {"trusted_ca": {"inline_string": "PEM"}}


def tls(validation: dict[str, Any], *, names: list[dict[str, Any]] | None = None, **context: Any) -> BackendTLS | None:
    both = {"match_typed_subject_alt_names": [NAME] if names is None else names, **validation}
    config = {"@type": UPSTREAM, "common_tls_context": {"validation_context": both}, **context}
    socket = {"name": "tls", "typed_config": config}
    return read_cluster(
        json_format.ParseDict({"name": "a", "type": "EDS", "transport_socket": socket}, cluster_pb2.Cluster())
    ).tls


def test_authorities_are_those_of_the_message_or_the_systems() -> None:
    assert tls(CA, sni="cam.example") == BackendTLS(hostname="cam.example", authorities="PEM")
    assert tls({"system_root_certs": {}}) == BackendTLS(hostname="cam.example")


@pytest.mark.parametrize(
    ("validation", "more", "expected"),
    [
        ({}, {}, "needs trusted_ca or system_root_certs"),
        ({**CA, "system_root_certs": {}}, {}, "needs trusted_ca or system_root_certs"),
        ({"trusted_ca": {"filename": "/etc/ca.pem"}}, {}, "DataSource.filename is not supported"),
        ({"trusted_ca": {"inline_string": ""}}, {}, "trusted_ca has no certificate"),
        ({"trusted_ca": {}}, {}, "trusted_ca has no certificate"),
        ({**CA, "trust_chain_verification": "ACCEPT_UNTRUSTED"}, {}, "trust_chain_verification is not supported"),
        ({**CA, "verify_certificate_hash": ["00"]}, {}, "verify_certificate_hash is not supported"),
        (CA, {"names": []}, "match_typed_subject_alt_names must have one name"),
        (CA, {"names": [NAME, NAME]}, "match_typed_subject_alt_names must have one name"),
        (CA, {"names": [{"san_type": "URI", "matcher": {"exact": "x"}}]}, "of type DNS or IP_ADDRESS"),
        (CA, {"names": [{"san_type": "DNS", "matcher": {"suffix": "x"}}]}, "StringMatcher.suffix is not supported"),
        (CA, {"names": [{"san_type": "DNS"}]}, "matcher must be exact, not empty, and not begin"),
        (CA, {"sni": "other.example"}, "UpstreamTlsContext.sni must be the name"),
        (CA, {"auto_host_sni": True}, "UpstreamTlsContext.auto_host_sni is not supported"),
    ],
)
def test_what_would_trust_others_is_refused_by_name(
    validation: dict[str, Any], more: dict[str, Any], expected: str
) -> None:
    with pytest.raises(RouteTableError, match=expected):
        tls(validation, **more)


def test_a_transport_socket_of_another_kind_is_refused() -> None:
    cluster = cluster_pb2.Cluster(name="a", type=cluster_pb2.Cluster.EDS)
    cluster.transport_socket.name = "envoy.transport_sockets.raw_buffer"
    with pytest.raises(RouteTableError, match=r"cluster a: Cluster\.transport_socket must be"):
        read_cluster(cluster)


@pytest.mark.parametrize(
    ("secrets", "expected"),
    [
        ({"username": {"inline_string": "s3cret"}}, "must have the keys password and username"),
        ({"username": {"inline_string": "a"}, "password": {"filename": "/s3cret"}}, "DataSource.filename is not supp"),
    ],
)
def test_a_secret_that_is_none_is_refused_without_its_values(secrets: dict[str, Any], expected: str) -> None:
    value = {"name": "one", "generic_secret": {"secrets": secrets}}
    with pytest.raises(RouteTableError, match=f"secret one: .*{expected}") as caught:
        read_credentials(json_format.ParseDict(value, secret_pb2.Secret()))
    assert "s3cret" not in str(caught.value)
