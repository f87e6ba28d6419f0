"""Client status discovery of a running mesh: what a real Envoy has refused is told in its words, as by REST."""

from __future__ import annotations

import socket
from typing import Any

import grpc
import pytest
from envoy.admin.v3 import config_dump_shared_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc
from envoy.type.matcher.v3 import node_pb2

from tests.peers.mesh import Mesh
from tests.peers.process import START_SECONDS
from xds_server.resource_types import LISTENER

pytestmark = pytest.mark.integration

# The same state, as the two interfaces name it.
AS_REST = {
    csds_pb2.SYNCED: {"synced"},
    csds_pb2.STALE: {"sent", "stale"},
    csds_pb2.NOT_SENT: {"not_sent"},
    csds_pb2.ERROR: {"rejected"},
}


def status_of(mesh: Mesh, node_id: str) -> Any:
    """The ClientConfig of one proxy."""
    matcher = node_pb2.NodeMatcher()
    matcher.node_id.exact = node_id
    request = csds_pb2.ClientStatusRequest(node_matchers=[matcher])
    with grpc.insecure_channel(mesh.xds) as channel:
        stub = csds_pb2_grpc.ClientStatusDiscoveryServiceStub(channel)
        (config,) = stub.FetchClientStatus(request, timeout=START_SECONDS, wait_for_ready=True).config
    return config


def refused(mesh: Mesh) -> list[dict[str, Any]]:
    """What REST says that Envoy has refused."""
    listed = mesh.items("/v1/proxies/envoy/resources") if mesh.items("/v1/proxies") else []
    return [each for each in listed if each["state"] == "rejected"]


def test_a_listener_that_envoy_refused_is_told_with_its_words_and_with_what_it_refused() -> None:
    with Mesh() as mesh, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        port = int(mesh.media_ports.partition("-")[0])
        other.bind(("127.0.0.1", port))
        mesh.serve()
        envoy = mesh.envoy()
        envoy.wait_until(lambda: bool(refused(mesh)) and mesh.slots().get("free", 0) > 0, START_SECONDS, "a refusal")
        (shown,) = refused(mesh)
        told = status_of(mesh, "envoy")
        listed = {(each["type_url"], each["name"]): each["state"] for each in mesh.items("/v1/proxies/envoy/resources")}

    (error,) = [each for each in told.generic_xds_configs if each.config_status == csds_pb2.ERROR]
    assert (error.type_url, error.name) == (LISTENER.type_url, shown["name"]) == (LISTENER.type_url, "slot-0-rtp")
    assert error.client_status == config_dump_shared_pb2.NACKED
    assert error.error_state.details.rstrip() == shown["error"]  # which is shown without Envoy's line end
    assert f"127.0.0.1:{port}" in error.error_state.details
    assert error.error_state.version_info == shown["version_sent"]
    tried = listener_pb2.Listener.FromString(error.error_state.failed_configuration.value)
    assert tried.address.socket_address.port_value == port

    states = {(each.type_url, each.name): AS_REST[each.config_status] for each in told.generic_xds_configs}
    assert states.keys() == listed.keys()
    assert all(listed[key] in states[key] for key in listed)
    assert (told.node.cluster, told.node.user_agent_name) == ("msm-media", "envoy")
