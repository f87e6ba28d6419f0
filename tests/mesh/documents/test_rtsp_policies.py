"""Policies of RTSP: which backend they hold for, and what is refused with its line."""

import pytest

from mesh.documents import DocumentErrors, compile_documents, load_documents
from mesh.gateways import Algorithm, Ejection, HealthCheck, PolicySettings, ProbeProtocol
from mesh.model import Mesh, merge

OURS = "apiVersion: mediastreamingmesh.io/v1alpha1\n"
BACKEND = "{kind: Backend, name: lobby}"
ROUTE = "{kind: RTSPRoute, name: lobby}"


def _backend(name: str = "lobby") -> str:
    return f"{OURS}kind: Backend\nmetadata: {{name: {name}}}\nspec: {{endpoints: [{{name: a, address: 192.0.2.1}}]}}\n"


def _route(name: str = "lobby", *backends: str) -> str:
    refs = ", ".join(f"{{kind: Backend, name: {backend}}}" for backend in backends or ("lobby",))
    return f"{OURS}kind: RTSPRoute\nmetadata: {{name: {name}}}\nspec: {{rules: [{{backendRefs: [{refs}]}}]}}\n"


def _policy(spec: str, *targets: str, name: str = "cameras") -> str:
    refs = ", ".join(targets or (BACKEND,))
    return f"{OURS}kind: MediaPolicy\nmetadata: {{name: {name}}}\nspec:\n  targetRefs: [{refs}]\n  {spec}\n"


def _mesh(*documents: str) -> Mesh:
    return merge([compile_documents(load_documents([("mesh.yaml", "---\n".join(documents))]), source="files")])


def _settings(*documents: str) -> dict[str, PolicySettings]:
    return {str(name): settings for name, settings in _mesh(*documents).backend_policies.items()}


def _problem(*documents: str) -> str:
    with pytest.raises(DocumentErrors) as caught:
        _mesh(*documents)
    (problem,) = caught.value.problems
    return str(problem)


def test_a_policy_of_a_backend_says_how_its_sessions_are_balanced_limited_and_checked() -> None:
    spec = (
        "balancing: {algorithm: Maglev}\n  limits: {maxSessions: 10}\n"
        "  healthCheck: {type: RTSP, interval: 2s}\n  ejection: {failures: 3, baseTime: 10s, maxPercent: 50}"
    )
    assert _settings(_backend(), _route(), _policy(spec)) == {
        "default/lobby": PolicySettings(
            algorithm=Algorithm.MAGLEV,
            max_sessions=10,
            health_check=HealthCheck(
                protocol=ProbeProtocol.RTSP,
                port=None,
                path="/",
                interval=2.0,
                timeout=1.0,
                healthy_threshold=1,
                unhealthy_threshold=3,
            ),
            ejection=Ejection(failures=3, base=10.0, max_percent=50),
        )
    }


def test_a_policy_of_a_route_holds_for_its_backends() -> None:
    policy = _policy("balancing: {algorithm: LeastRequest}", ROUTE)
    found = _settings(_backend(), _backend("door"), _backend("yard"), _route("lobby", "lobby", "door"), policy)
    assert set(found) == {"default/lobby", "default/door"}


def test_what_the_backends_own_policy_says_goes_before_what_a_routes_says() -> None:
    of_route = _policy("balancing: {algorithm: Random}\n  limits: {maxSessions: 5}", ROUTE, name="a")
    of_backend = _policy("balancing: {algorithm: Maglev}", name="b")
    found = _settings(_backend(), _route(), of_route, of_backend)["default/lobby"]
    assert (found.algorithm, found.max_sessions) == (Algorithm.MAGLEV, 5)


def test_two_routes_that_want_different_things_of_one_backend_are_refused_unless_it_says_itself() -> None:
    routes = (_backend(), _route("a"), _route("b"))
    one = _policy("limits: {maxSessions: 5}", "{kind: RTSPRoute, name: a}", name="one")
    other = _policy("limits: {maxSessions: 6}", "{kind: RTSPRoute, name: b}", name="other")
    assert _problem(*routes, one, other) == (
        "mesh.yaml:28: MediaPolicy default/other: spec.limits.maxSessions: RTSPRoute default/a wants something else of"
        " backend default/lobby, which both use; give the backend a policy of its own"
    )
    assert _settings(*routes, one, other, _policy("limits: {maxSessions: 7}"))["default/lobby"].max_sessions == 7
    assert _settings(*routes, one, other.replace("6}", "5}"))["default/lobby"].max_sessions == 5


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("balancing: {perPacket: true}", "spec.balancing.perPacket: Backend default/lobby: a session of RTSP stays"),
        ("session: {idleTimeout: 5s}", "spec.session.idleTimeout: Backend default/lobby: RTSP has a session timeout"),
        ("session: {maxDuration: 5s}", "spec.session.maxDuration: Backend default/lobby: sessions of RTSP have no"),
        ("session: {onBackendChange: Stick}", "spec.session.onBackendChange: Backend default/lobby: a session of RTSP"),
        ("accessLog: {type: Stdout}", "spec.accessLog: Backend default/lobby: sessions of RTSP are in"),
        ("healthCheck: {type: HTTP}", "spec.healthCheck.type: Backend default/lobby: servers of RTSP are asked by"),
        ("healthCheck: {type: RTSP, port: 80}", "spec.healthCheck.port: Backend default/lobby: servers of RTSP are"),
        ("healthCheck: {type: RTSP, path: /x}", "spec.healthCheck.path: goes with type HTTP"),
        ("ejection: {failures: 0}", "spec.ejection.failures"),
        ("ejection: {maxPercent: 101}", "spec.ejection.maxPercent"),
    ],
)
def test_what_makes_no_sense_for_rtsp_is_refused_with_its_field(spec: str, expected: str) -> None:
    problem = _problem(_backend(), _route(), _policy(spec))
    assert problem.startswith("mesh.yaml:")
    assert f": MediaPolicy default/cameras: {expected}" in problem


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("{kind: RTSPRoute, name: door}", "spec.targetRefs[0].name: there is no RTSPRoute default/door"),
        ("{kind: Backend, name: door}", "spec.targetRefs[0].name: there is no Backend default/door"),
        (
            "{kind: Backend, name: lobby, sectionName: x}",
            "spec.targetRefs[0].sectionName: only a Gateway has sections; leave this field out for a Backend",
        ),
        (
            "{kind: Backend, name: lobby, group: gateway.networking.k8s.io}",
            "spec.targetRefs[0].group: Backend is of the group mediastreamingmesh.io",
        ),
    ],
)
def test_a_target_that_is_not_there_is_refused(target: str, expected: str) -> None:
    assert expected in _problem(_backend(), _route(), _policy("limits: {maxSessions: 5}", target))


def test_a_backend_has_one_policy() -> None:
    policies = [_policy("limits: {maxSessions: 5}", name=name) for name in ("a", "b")]
    assert "MediaPolicy default/a has this target already" in _problem(_backend(), _route(), *policies)


GATEWAY = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: media-streaming-mesh, listeners: [{name: game, protocol: TCP, port: 7777}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: game}
spec: {parentRefs: [{name: edge}], rules: [{backendRefs: [{kind: Backend, name: game}]}]}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {name: game}
spec: {endpoints: [{name: a, address: 192.0.2.1, port: 7000}]}
"""


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("ejection: {}", "spec.ejection: TCPRoute default/game: Envoy does not see whether sessions"),
        ("healthCheck: {type: RTSP}", "spec.healthCheck.type: TCPRoute default/game: RTSP is asked of servers of"),
    ],
)
def test_what_is_rtsps_own_is_refused_for_gateways(spec: str, expected: str) -> None:
    assert expected in _problem(GATEWAY, _policy(spec, "{kind: Gateway, name: edge}"))
