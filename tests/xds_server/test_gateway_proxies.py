"""A proxy that is for one Gateway, and what is said when there is none."""

from __future__ import annotations

from structlog.testing import capture_logs

from mesh.documents import compile_documents, load_documents
from mesh.objects import GROUP
from tests.api.planes import XdsPeer, empty_plane
from xds_server.control_plane import ControlPlane
from xds_server.envoy.bootstrap import GATEWAY_CLUSTER
from xds_server.resource_types import LISTENER
from xds_server.subscription import Node

DOCUMENT = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: media-streaming-mesh
  listeners: [{name: game, protocol: UDP, port: 7777}]
"""
NOBODYS = "a proxy is for a Gateway that is not there"


def _plane() -> ControlPlane:
    plane = empty_plane()
    plane.set_slice(compile_documents(load_documents([("mesh.yaml", DOCUMENT)]), source="files"))
    return plane


def _warnings(plane: ControlPlane, metadata: dict[str, object]) -> list[tuple[str, str]]:
    node = Node(id="edge-1", cluster=GATEWAY_CLUSTER, metadata=metadata)
    with capture_logs() as lines:
        XdsPeer(plane, plane.caches.gateways, node, (LISTENER.type_url,))
    return [(line["proxy"], line["gateway"]) for line in lines if line["event"] == NOBODYS]


def test_a_proxy_of_a_gateway_that_is_not_there_is_warned_of() -> None:
    assert _warnings(_plane(), {GROUP: {"gateway": "default/nothere"}}) == [("edge-1", "default/nothere")]


def test_proxies_of_a_gateway_that_is_there_or_of_all_are_not() -> None:
    assert _warnings(_plane(), {GROUP: {"gateway": "default/edge"}}) == []
    assert _warnings(empty_plane(), {}) == []
