"""Resources: names, versions, and the bytes on the wire as an independent implementation reads them."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from hypothesis import given
from hypothesis import strategies as st

from xds_server.resources import CLUSTER, ENDPOINT, LISTENER, RESOURCE_TYPES, ROUTE, Resource
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


def test_versions_do_not_depend_on_the_order_in_which_a_map_was_filled() -> None:
    one, two = cluster_pb2.Cluster(name="x"), cluster_pb2.Cluster(name="x")
    for key in "abcdef":
        one.metadata.filter_metadata[key].SetInParent()
    for key in "fedcba":
        two.metadata.filter_metadata[key].SetInParent()
    assert Resource.of(one).version == Resource.of(two).version


def test_an_eds_cluster_is_warmed_by_its_assignment() -> None:
    plain = cluster_pb2.Cluster(name="x", type=cluster_pb2.Cluster.EDS)
    assert Resource.of(plain).warms == ("x",)
    plain.eds_cluster_config.service_name = "service"
    assert Resource.of(plain).warms == ("service",)
    assert Resource.of(cluster_pb2.Cluster(name="x", type=cluster_pb2.Cluster.STATIC)).warms == ()


def test_a_listener_is_warmed_by_its_routes() -> None:
    manager = hcm.HttpConnectionManager()
    manager.rds.route_config_name = "routes"
    listener = listener_pb2.Listener(name="x")
    listener.filter_chains.add().filters.add(name="http").typed_config.Pack(manager)
    listener.filter_chains.add().filters.add(name="other").typed_config.Pack(cluster_pb2.Cluster())
    assert Resource.of(listener).warms == ("routes",)


def test_what_others_point_at_comes_before_them() -> None:
    order = sorted(RESOURCE_TYPES.values(), key=lambda kind: kind.push_order)
    assert order == [CLUSTER, ENDPOINT, LISTENER, ROUTE]
    assert [kind.referenced for kind in order] == [True, True, False, False]


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
