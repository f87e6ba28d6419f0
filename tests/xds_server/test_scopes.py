"""What a proxy gets follows from what it says of itself."""

from collections.abc import Mapping
from typing import Any

import pytest

from mesh.objects import ObjectName
from xds_server.scopes import Scope, ScopeKind, scope_of
from xds_server.subscription import Fault, Node, StreamError


def scope(cluster: str, *, node: str = "envoy", metadata: Mapping[str, Any] | None = None) -> Scope | None:
    return scope_of(Node(id=node, cluster=cluster, metadata=metadata or {}), media_node="envoy")


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [("msm-rtsp", ScopeKind.RTSP), ("msm-media", ScopeKind.MEDIA), ("msm-gateway", ScopeKind.GATEWAYS)],
)
def test_the_node_cluster_says_what_kind_of_proxy_it_is(cluster: str, expected: ScopeKind) -> None:
    assert scope(cluster) == Scope(kind=expected)


def test_only_the_media_node_gets_slots_and_strangers_get_nothing() -> None:
    assert scope("msm-media", node="other") is None
    assert scope("other") is None
    assert scope("msm-rtsp", node="any") == scope("msm-rtsp")


def test_a_gateway_proxy_may_name_its_gateway() -> None:
    named = scope("msm-gateway", metadata={"mediastreamingmesh.io": {"gateway": "games/edge"}})
    assert named == Scope(kind=ScopeKind.GATEWAYS, gateway=ObjectName("games", "edge"))


@pytest.mark.parametrize("said", ["edge", "a/b/c", "", 7, ["a/b"], "A/b", "a/"])
def test_a_gateway_that_is_no_name_is_refused(said: object) -> None:
    with pytest.raises(StreamError, match="is written namespace/name") as caught:
        scope("msm-gateway", metadata={"mediastreamingmesh.io": {"gateway": said}})
    assert caught.value.fault is Fault.INVALID_ARGUMENT


@pytest.mark.parametrize("said", [{}, {"mediastreamingmesh.io": "x"}, {"mediastreamingmesh.io": {"workers": 2}}])
def test_other_metadata_narrows_nothing(said: dict[str, Any]) -> None:
    assert scope("msm-gateway", metadata=said) == Scope(kind=ScopeKind.GATEWAYS)
