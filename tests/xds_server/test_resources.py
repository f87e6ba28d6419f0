"""Resources: names, versions, and the bytes on the wire as an independent implementation reads them."""

from __future__ import annotations

import hashlib
import warnings
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.discovery.v3 import discovery_pb2
from hypothesis import given
from hypothesis import strategies as st

from xds_server.resource_types import CLUSTER, ENDPOINT, LISTENER, ROUTE
from xds_server.resources import Failure, FailureCode, Resource
from xds_server.wire import text_field

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # betterproto2's use of pydantic is not ours to mend
    from envoy_data_plane.envoy.service.discovery import v3 as independent


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (cluster_pb2.Cluster(name="x"), CLUSTER),
        (endpoint_pb2.ClusterLoadAssignment(cluster_name="x"), ENDPOINT),
        (listener_pb2.Listener(name="x"), LISTENER),
        (route_pb2.RouteConfiguration(name="x"), ROUTE),
    ],
)
def test_a_resource_is_named_by_its_own_name_field(message: Any, kind: Any) -> None:
    resource = Resource.of(message)
    assert (resource.type_url, resource.name) == (kind.type_url, "x")
    assert type(message).FromString(resource.body) == message


def test_equal_content_has_equal_versions_and_other_content_another() -> None:
    first, same = Resource.of(cluster_pb2.Cluster(name="x")), Resource.of(cluster_pb2.Cluster(name="x"))
    other = Resource.of(cluster_pb2.Cluster(name="x", type=cluster_pb2.Cluster.EDS))
    assert first == same
    assert first.version != other.version
    assert first.fingerprint == same.fingerprint != other.fingerprint


def test_versions_of_secrets_tell_nobody_what_is_in_them() -> None:
    """Who knows the user name could otherwise try passwords against them."""
    message = secret_pb2.Secret(name="one")
    message.generic_secret.secret.inline_string = "s3cret"
    made = Resource.of(message)
    assert made.version == Resource.of(message).version
    assert made.version != hashlib.blake2b(made.body, digest_size=8).hexdigest()
    plain = Resource.of(cluster_pb2.Cluster(name="one"))
    assert plain.version == hashlib.blake2b(plain.body, digest_size=8).hexdigest()


def test_versions_do_not_depend_on_the_order_in_which_a_map_was_filled() -> None:
    one, two = cluster_pb2.Cluster(name="x"), cluster_pb2.Cluster(name="x")
    for key in "abcdef":
        one.metadata.filter_metadata[key].SetInParent()
    for key in "fedcba":
        two.metadata.filter_metadata[key].SetInParent()
    assert Resource.of(one).version == Resource.of(two).version


def test_a_caller_may_name_and_version_a_resource() -> None:
    resource = Resource.of(cluster_pb2.Cluster(name="x"), name="y", version="7")
    assert (resource.name, resource.version) == ("y", "7")


def test_a_message_without_a_name_is_no_resource() -> None:
    with pytest.raises(ValueError, match="Cluster without a name"):
        Resource.of(cluster_pb2.Cluster())


def test_an_xdstp_name_is_kept_in_its_one_form() -> None:
    assert Resource.of(cluster_pb2.Cluster(name="xdstp://a/t/x?b=1&a=2")).name == "xdstp://a/t/x?a=2&b=1"


def test_aliases_and_time_to_live_are_content() -> None:
    plain = Resource.of(cluster_pb2.Cluster(name="x"))
    versions = {plain.version}
    versions.add(Resource.of(cluster_pb2.Cluster(name="x"), aliases=("y",)).version)
    versions.add(Resource.of(cluster_pb2.Cluster(name="x"), ttl=2.5).version)
    assert len(versions) == 3


def test_an_independent_decoder_reads_a_time_to_live() -> None:
    resource = Resource.of(cluster_pb2.Cluster(name="x"), ttl=2.5)
    (entry,) = independent.DeltaDiscoveryResponse.parse(
        b"".join(resource.delta_parts_with_ttl(renewal=False))
    ).resources
    assert entry.ttl is not None
    assert entry.ttl.total_seconds() == 2.5
    assert entry.resource.value == resource.body
    (entry,) = independent.DeltaDiscoveryResponse.parse(b"".join(resource.delta_parts_with_ttl(renewal=True))).resources
    assert (entry.name, entry.version, entry.resource) == ("x", resource.version, None)
    (wrapped,) = discovery_pb2.DiscoveryResponse.FromString(b"".join(resource.sotw_parts_with_ttl())).resources
    inside = discovery_pb2.Resource()
    assert wrapped.Unpack(inside)
    assert (inside.name, inside.ttl.nanos, inside.resource.value) == ("x", 500_000_000, resource.body)


@pytest.mark.parametrize("code", FailureCode)
def test_a_failure_is_an_error_of_one_resource(code: FailureCode) -> None:
    failure = Failure(CLUSTER.type_url, "x", code, "why")
    assert failure.wire_size == sum(map(len, failure.delta_parts()))
    response = discovery_pb2.DeltaDiscoveryResponse.FromString(b"".join(failure.delta_parts()))
    (error,) = response.resource_errors
    assert (error.resource_name.name, error.error_detail.code, error.error_detail.message) == ("x", code.value, "why")
    assert list(response.removed_resources) == ([] if code.transient else ["x"])
    (error,) = discovery_pb2.DiscoveryResponse.FromString(b"".join(failure.sotw_parts())).resource_errors
    assert error.resource_name.name == "x"


TEXT = st.text(st.characters(codec="utf-8"), max_size=200)


@given(name=TEXT, version=TEXT, body=st.binary(max_size=20_000))
def test_an_independent_decoder_reads_what_an_incremental_response_holds(name: str, version: str, body: bytes) -> None:
    resource = Resource(CLUSTER.type_url, name, version, body)
    wire = b"".join((*resource.delta_parts(), text_field(5, "n")))
    assert resource.wire_size == len(wire) - len(text_field(5, "n"))
    (entry,) = independent.DeltaDiscoveryResponse.parse(wire).resources
    assert (entry.name, entry.version) == (name, version)
    assert (entry.resource.type_url, entry.resource.value) == (CLUSTER.type_url, body)


@given(name=TEXT, version=TEXT, body=st.binary(max_size=20_000))
def test_an_independent_decoder_reads_what_a_state_of_the_world_response_holds(
    name: str, version: str, body: bytes
) -> None:
    resource = Resource(CLUSTER.type_url, name, version, body)
    (entry,) = independent.DiscoveryResponse.parse(b"".join(resource.sotw_parts())).resources
    assert (entry.type_url, entry.value) == (CLUSTER.type_url, body)
