"""Canaries of RTSPRoutes: what a policy says of one, and what is refused with its line."""

from fractions import Fraction

import pytest

from mesh.documents import DocumentErrors, compile_documents, load_documents
from mesh.gateways import Canary, LossLimit
from mesh.model import Mesh, ObjectName, merge

OURS = "apiVersion: mediastreamingmesh.io/v1alpha1\n"
NEW = "backendRef: {kind: Backend, name: new}"


def _backend(name: str) -> str:
    return f"{OURS}kind: Backend\nmetadata: {{name: {name}}}\nspec: {{endpoints: [{{name: a, address: 192.0.2.1}}]}}\n"


def _route(refs: str = "{kind: Backend, name: old}, {kind: Backend, name: new}", name: str = "lobby") -> str:
    return f"{OURS}kind: RTSPRoute\nmetadata: {{name: {name}}}\nspec: {{rules: [{{backendRefs: [{refs}]}}]}}\n"


def _policy(canary: str, *, target: str = "{kind: RTSPRoute, name: lobby}", name: str = "trial") -> str:
    spec = f"spec:\n  targetRefs: [{target}]\n  canary: {{{canary}}}\n"
    return f"{OURS}kind: MediaPolicy\nmetadata: {{name: {name}}}\n{spec}"


def _mesh(*documents: str) -> Mesh:
    texts = (_backend("old"), _backend("new"), *documents)
    return merge([compile_documents(load_documents([("mesh.yaml", "---\n".join(texts))]), source="files")])


def _problem(*documents: str) -> str:
    with pytest.raises(DocumentErrors) as caught:
        _mesh(*documents)
    (problem,) = caught.value.problems
    return str(problem)


def test_a_canary_has_defaults_that_suit_cameras() -> None:
    assert _mesh(_route(), _policy(NEW)).canaries == {
        ObjectName("default", "lobby"): Canary(
            backend=ObjectName("default", "new"), steps=(5, 25, 50, 100), interval=60.0, min_setups=20, max_failed=0.05
        )
    }


def test_a_canary_says_its_steps_and_what_may_fail_and_be_lost() -> None:
    said = (
        f"{NEW}, steps: [1, 100], interval: 5m, setups: {{minimum: 7, maxFailedPercent: 0.5}},"
        " loss: {samplePercent: 20, minPackets: 50, maxLostPercent: 2}"
    )
    (canary,) = _mesh(_route(), _policy(said)).canaries.values()
    assert (canary.steps, canary.interval, canary.min_setups, canary.max_failed) == ((1, 100), 300.0, 7, 0.005)
    assert canary.loss == LossLimit(sample_percent=20, min_packets=50, max_lost=float(Fraction(2, 100)))


def test_a_canary_may_be_a_port_of_a_service() -> None:
    service = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: cams}\n"
        "spec: {ports: [{name: rtsp, port: 554, protocol: TCP}]}\n"
    )
    route = _route("{kind: Backend, name: old}, {name: cams, port: 554}")
    (canary,) = _mesh(service, route, _policy("backendRef: {name: cams, port: 554}")).canaries.values()
    assert canary.backend == ObjectName("default", "cams:554")


@pytest.mark.parametrize(
    ("canary", "expected"),
    [
        (f"{NEW}, steps: [50, 50]", "spec.canary.steps[1]: each step is more than the one before"),
        (f"{NEW}, steps: []", "spec.canary.steps"),
        (f"{NEW}, steps: [0]", "spec.canary.steps[0]"),
        (f"{NEW}, steps: [101]", "spec.canary.steps[0]"),
        (f"{NEW}, interval: 60", "spec.canary.interval"),
        (f"{NEW}, setups: {{minimum: 0}}", "spec.canary.setups.minimum"),
        (f"{NEW}, setups: {{maxFailedPercent: 101}}", "spec.canary.setups.maxFailedPercent"),
        (f'{NEW}, setups: {{maxFailedPercent: "5"}}', "spec.canary.setups.maxFailedPercent"),
        (f"{NEW}, loss: {{samplePercent: 0}}", "spec.canary.loss.samplePercent"),
        (f"{NEW}, loss: {{minPackets: 0}}", "spec.canary.loss.minPackets"),
        (f"{NEW}, loss: {{maxLostPercent: -1}}", "spec.canary.loss.maxLostPercent"),
        (f"{NEW}, thresholds: {{}}", "spec.canary.thresholds: unknown field"),
        ("steps: [5]", "spec.canary.backendRef"),
        ("backendRef: {name: new}", 'spec.canary.backendRef: a Service needs the field "port"'),
        (
            "backendRef: {kind: Backend, name: newer}",
            "spec.canary.backendRef.name: no rule of RTSPRoute default/lobby sends sessions to backend default/newer"
            " and to another",
        ),
    ],
)
def test_what_no_canary_can_be_is_refused_with_its_field(canary: str, expected: str) -> None:
    problem = _problem(_route(), _policy(canary))
    assert problem.startswith("mesh.yaml:")
    assert f": MediaPolicy default/trial: {expected}" in problem


def test_a_route_whose_sessions_all_go_to_the_canary_has_none() -> None:
    expected = "spec.canary.backendRef.name: no rule of RTSPRoute default/lobby sends sessions to backend default/new"
    assert expected in _problem(_route("{kind: Backend, name: new}"), _policy(NEW))


def test_somebody_else_has_to_take_the_sessions_that_the_canary_does_not_get() -> None:
    route = _route("{kind: Backend, name: old, weight: 0}, {kind: Backend, name: new}")
    expected = "the other backends of its rule rule-0 have weight 0"
    assert expected in _problem(route, _policy(NEW))


def test_a_route_has_one_canary() -> None:
    expected = "MediaPolicy default/two: spec.targetRefs[0]: MediaPolicy default/one has this target already"
    assert expected in _problem(_route(), _policy(NEW, name="one"), _policy(f"{NEW}, steps: [7]", name="two"))


def test_a_canary_is_for_routes_of_rtsp() -> None:
    problem = _problem(_route(), _policy(NEW, target="{kind: Backend, name: new}"))
    assert "spec.canary: Backend default/new: a canary is one of the backends of an RTSPRoute" in problem


def test_nobody_measures_how_sessions_of_a_gateway_do() -> None:
    documents = (
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: edge}\nspec:\n"
        "  gatewayClassName: media-streaming-mesh\n  listeners: [{name: game, protocol: UDP, port: 7000}]\n",
        "apiVersion: gateway.networking.k8s.io/v1\nkind: UDPRoute\nmetadata: {name: game}\nspec:\n"
        "  parentRefs: [{name: edge}]\n  rules: [{backendRefs: [{name: game, port: 7000}]}]\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: game}\n"
        "spec: {ports: [{name: game, port: 7000, protocol: UDP}]}\n",
        _policy(NEW, target="{kind: UDPRoute, name: game}"),
    )
    assert "spec.canary: UDPRoute default/game: nobody measures" in _problem(*documents)
