"""Which node ids and clusters an identity may claim at the xDS server."""

from __future__ import annotations

import pytest

from mesh.identity import IdTemplate, MeshIds, Part
from mesh.identity.mesh_ids import _CLUSTERS
from xds_server.envoy.bootstrap import GATEWAY_CLUSTER, MEDIA_CLUSTER
from xds_server.scopes import RTSP_CLUSTER

IDS = MeshIds(trust_domain="example.org", namespace="media")
CLUSTERS = (RTSP_CLUSTER, MEDIA_CLUSTER, GATEWAY_CLUSTER)


def test_parts_are_named_by_the_template() -> None:
    assert IDS.id_of(Part.CONTROL_PLANE) == "spiffe://example.org/ns/media/sa/control-plane"
    assert IDS.id_of(Part.RTSP_PROXY, "edge-1") == "spiffe://example.org/ns/media/sa/rtsp-proxy.edge-1"
    own = MeshIds(trust_domain="a", template=IdTemplate("spiffe://{trust_domain}/msm/{service_account}"))
    assert own.id_of(Part.OPERATOR) == "spiffe://a/msm/operator"


def test_every_kind_of_proxy_has_a_part_that_may_be_it() -> None:
    assert frozenset().union(*_CLUSTERS.values()) == frozenset(CLUSTERS)


@pytest.mark.parametrize(
    ("part", "clusters"),
    [
        (Part.RTSP_PROXY, {RTSP_CLUSTER}),
        (Part.MEDIA_PROXY, {MEDIA_CLUSTER, GATEWAY_CLUSTER}),
        (Part.GATEWAY_PROXY, {GATEWAY_CLUSTER}),
        (Part.CONTROL_PLANE, set()),
        (Part.OPERATOR, set()),
    ],
)
@pytest.mark.parametrize("node", ["envoy", "rtsp-host-8554", "with/a/slash", "x" * 253])
def test_the_service_account_says_which_kind_of_proxy_it_is(part: Part, clusters: set[str], node: str) -> None:
    allowed = {each for each in (*CLUSTERS, "", "other") if IDS.may_claim(IDS.id_of(part), node, each)}
    assert allowed == clusters


def test_an_account_with_a_node_id_is_for_that_node_alone() -> None:
    proven = IDS.id_of(Part.RTSP_PROXY, "edge-1")
    assert IDS.may_claim(proven, "edge-1", RTSP_CLUSTER)
    for node, cluster in (("edge-2", RTSP_CLUSTER), ("edge-1", MEDIA_CLUSTER), ("", RTSP_CLUSTER), ("1", RTSP_CLUSTER)):
        assert not IDS.may_claim(proven, node, cluster)


@pytest.mark.parametrize(
    "stranger",
    [
        "spiffe://other.org/ns/media/sa/rtsp-proxy",
        "spiffe://example.org/ns/other/sa/rtsp-proxy",
        "spiffe://example.org/ns/media/sa/viewer",
        "spiffe://example.org/ns/media/sa/rtsp-proxy2",
        "spiffe://example.org/ns/media/sa/rtsp-proxy.",
        "spiffe://example.org/ns/media/sa/rtsp-proxy/edge-1",
        "spiffe://example.org/ns/media/sa/RTSP-proxy",
        "spiffe://example.org",
        "",
    ],
)
def test_nobody_else_may_be_a_proxy(stranger: str) -> None:
    assert not any(IDS.may_claim(stranger, node, each) for each in CLUSTERS for node in ("edge-1", ""))


def test_a_namespace_that_cannot_be_in_an_id_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="cannot be the namespace of a SPIFFE ID"):
        MeshIds(trust_domain="example.org", namespace="a/b")
