"""How backends are spoken to becomes fields of clusters, endpoints and secrets, and is read as it was meant."""

from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_pb2

from mesh.model import (
    Backend,
    BackendTLS,
    BackendTransport,
    Credentials,
    Endpoint,
    Mesh,
    ObjectName,
    Route,
    Rule,
    WeightedBackend,
)
from rtsp_filter.resources.cluster_reading import read_assignment, read_cluster
from rtsp_filter.resources.secret_reading import read_credentials
from rtsp_filter.rtsp import Credentials as Told
from xds_server.compile.routes import RouteCompiler
from xds_server.resource_types import SECRET

LOBBY = ObjectName("default", "lobby")
NAME = "default/lobby/camera"
CAMERA = Endpoint(name="a", address="192.0.2.1", port=80, path="/s", transport=BackendTransport.HTTP, credentials=NAME)


def mesh(*, word: str | None = "s3cret", tls: BackendTLS | None = None) -> Mesh:
    route = Route(name=LOBBY, rules=(Rule(name="r", matches=(), backends=(WeightedBackend(backend=LOBBY),)),))
    known = () if word is None else (Credentials(name=NAME, username="ann", password=word),)
    backend = Backend(name=LOBBY, endpoints=(CAMERA,), credentials=known, tls=tls)
    return Mesh(routes={LOBBY: route}, backends={LOBBY: backend})


def only(kind: type, messages: list[Any]) -> Any:
    (found,) = (message for message in messages if isinstance(message, kind))
    return found


def test_an_endpoint_is_read_as_it_was_meant_and_has_no_password_in_it() -> None:
    made = RouteCompiler().compile(mesh()).upsert
    assignment = only(endpoint_pb2.ClusterLoadAssignment, made)
    assert read_assignment(assignment).hosts[0].endpoint == CAMERA
    assert read_credentials(only(secret_pb2.Secret, made)) == Told(username="ann", password="s3cret")  # noqa: S106
    holders = [message for message in made if b"s3cret" in message.SerializeToString()]
    assert holders == [only(secret_pb2.Secret, made)]


def test_another_password_changes_the_secret_and_what_goes_takes_it_along() -> None:
    compiler = RouteCompiler()
    compiler.compile(mesh())
    changed = compiler.compile(mesh(word="new"))
    assert only(secret_pb2.Secret, changed.upsert).generic_secret.secrets["password"].inline_string == "new"
    assert changed.remove == []
    assert compiler.compile(mesh(word=None)).remove == [(SECRET.type_url, NAME)]


@pytest.mark.parametrize("hostname", ["cam.example", "192.0.2.1", "2001:db8::1"])
@pytest.mark.parametrize("authorities", [None, "-----BEGIN CERTIFICATE-----\n"])
def test_tls_is_read_as_it_was_meant(hostname: str, authorities: str | None) -> None:
    tls = BackendTLS(hostname=hostname, authorities=authorities)
    cluster = only(cluster_pb2.Cluster, RouteCompiler().compile(mesh(tls=tls)).upsert)
    assert read_cluster(cluster).tls == tls
    context = tls_pb2.UpstreamTlsContext()
    assert cluster.transport_socket.typed_config.Unpack(context)
    (matcher,) = context.common_tls_context.validation_context.match_typed_subject_alt_names
    named = hostname == "cam.example"
    assert (context.sni, matcher.san_type) == ((hostname, matcher.DNS) if named else ("", matcher.IP_ADDRESS))


def test_a_cluster_without_tls_says_nothing_of_it() -> None:
    cluster = only(cluster_pb2.Cluster, RouteCompiler().compile(mesh()).upsert)
    assert read_cluster(cluster).tls is None
    assert not cluster.HasField("transport_socket")
