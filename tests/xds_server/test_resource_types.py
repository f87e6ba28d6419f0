"""The table of resource types agrees with Envoy's own API."""

from __future__ import annotations

import pytest
from envoy.service.cluster.v3 import cds_pb2
from envoy.service.endpoint.v3 import eds_pb2
from envoy.service.extension.v3 import config_discovery_pb2
from envoy.service.listener.v3 import lds_pb2
from envoy.service.route.v3 import rds_pb2, srds_pb2
from envoy.service.runtime.v3 import rtds_pb2
from envoy.service.secret.v3 import sds_pb2
from google.protobuf import descriptor_pool

from xds_server.references import TYPE_URL_PREFIX
from xds_server.resource_types import (
    CLUSTER,
    ENDPOINT,
    EXTENSION,
    LISTENER,
    RESOURCE_TYPES,
    ROUTE,
    SECRET,
    ResourceType,
    resource_type,
)

_FILES = (cds_pb2, eds_pb2, config_discovery_pb2, lds_pb2, rds_pb2, srds_pb2, rtds_pb2, sds_pb2)
_SERVICES = {service.full_name: service for file in _FILES for service in file.DESCRIPTOR.services_by_name.values()}


@pytest.mark.parametrize("kind", RESOURCE_TYPES.values(), ids=lambda kind: kind.short_name)
def test_a_row_names_the_service_and_the_methods_that_the_api_has(kind: ResourceType) -> None:
    assert kind.service is not None
    methods = {method.name for method in _SERVICES[kind.service.name].methods}
    assert methods == {kind.service.delta, kind.service.stream, kind.service.fetch} - {None}


@pytest.mark.parametrize("kind", RESOURCE_TYPES.values(), ids=lambda kind: kind.short_name)
def test_a_row_names_a_message_and_its_name_field(kind: ResourceType) -> None:
    message = descriptor_pool.Default().FindMessageTypeByName(kind.type_url.removeprefix(TYPE_URL_PREFIX))
    assert kind.name_field in message.fields_by_name


def test_what_others_point_at_comes_before_them() -> None:
    order = sorted(RESOURCE_TYPES.values(), key=lambda kind: kind.push_order)
    flags = [kind.referenced for kind in order]
    assert flags == sorted(flags, reverse=True)
    assert [kind for kind in order if kind in (CLUSTER, ENDPOINT, LISTENER, ROUTE)] == [
        CLUSTER,
        ENDPOINT,
        LISTENER,
        ROUTE,
    ]
    assert {SECRET, EXTENSION} <= set(order[: flags.count(True)])


def test_a_type_without_a_row_comes_last() -> None:
    unknown = resource_type("type.googleapis.com/acme.Thing")
    assert unknown.push_order > max(kind.push_order for kind in RESOURCE_TYPES.values())
    assert unknown.service is None
