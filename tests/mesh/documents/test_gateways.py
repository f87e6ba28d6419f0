"""Gateways, their routes and policies become objects of the mesh; what does not fit is refused with its line."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.documents import DocumentErrors, compile_documents, load_documents
from mesh.gateways import (
    AccessLog,
    Algorithm,
    HealthCheck,
    OnBackendChange,
    ProbeProtocol,
    RouteNamespaces,
)
from mesh.model import Mesh, MeshError, ObjectName, WeightedBackend, merge

API = "apiVersion: gateway.networking.k8s.io/v1\n"
OURS = "apiVersion: mediastreamingmesh.io/v1alpha1\n"
BACKEND = (
    OURS + "kind: Backend\nmetadata: {name: game}\nspec: {endpoints: [{name: a, address: 192.0.2.1, port: 7000}]}\n"
)
LISTENER = "{name: game, protocol: UDP, port: 7777}"
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: dns}
spec: {ports: [{name: udp, port: 53, protocol: UDP}, {name: tcp, port: 53}]}
"""


def gateway(listeners: str = LISTENER, *, name: str = "edge", more: str = "") -> str:
    spec = f"{{gatewayClassName: media-streaming-mesh, listeners: [{listeners}]{more}}}"
    return f"{API}kind: Gateway\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def route(
    ref: str = "{kind: Backend, name: game}",
    *,
    name: str = "game",
    kind: str = "UDPRoute",
    parent: str = "{name: edge}",
    namespace: str = "default",
) -> str:
    return (
        f"{API}kind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec:\n  parentRefs: [{parent}]\n  rules: [{{backendRefs: [{ref}]}}]\n"
    )


def policy(spec: str = "", *, name: str = "games", target: str = "{kind: UDPRoute, name: game}") -> str:
    more = f", {spec}" if spec else ""
    return f"{OURS}kind: MediaPolicy\nmetadata: {{name: {name}}}\nspec: {{targetRefs: [{target}]{more}}}\n"


def mesh(*documents: str) -> Mesh:
    return merge([compile_documents(load_documents([("mesh.yaml", "---\n".join(documents))]), source="files")])


def problems(*documents: str) -> list[str]:
    with pytest.raises(DocumentErrors) as caught:
        mesh(*documents)
    return [str(problem) for problem in caught.value.problems]


def refused(documents: Sequence[str], expected: str) -> None:
    (problem,) = problems(*documents)
    assert expected in problem
    assert problem.startswith("mesh.yaml:")
    assert problem.split(":")[1].isdigit()


def test_a_listener_that_moved_in_its_file_is_the_same() -> None:
    texts = (gateway(), f"# Ports\n{gateway()}")
    first, moved = (mesh(text).gateways[ObjectName("default", "edge")].listeners[0] for text in texts)
    assert (first.place, moved.place) == ("mesh.yaml:4", "mesh.yaml:5")
    assert first == moved


def test_a_route_attaches_to_the_listeners_of_its_protocol() -> None:
    listeners = f"{LISTENER}, {{name: chat, protocol: TCP, port: 7777}}, {{name: more, protocol: UDP, port: 7778}}"
    found = mesh(gateway(listeners), route(), BACKEND).attachments
    assert [(each.listener.name, each.listener.port) for each in found] == [("game", 7777), ("more", 7778)]
    assert {each.route.name for each in found} == {ObjectName("default", "game")}


@pytest.mark.parametrize("parent", ["{name: edge, sectionName: more}", "{name: edge, port: 7778}"])
def test_a_parent_may_be_one_listener(parent: str) -> None:
    listeners = f"{LISTENER}, {{name: more, protocol: UDP, port: 7778}}"
    (attachment,) = mesh(gateway(listeners), route(parent=parent), BACKEND).attachments
    assert attachment.listener.name == "more"


def test_a_udp_route_and_a_tcp_route_may_have_one_name() -> None:
    listeners = "{name: udp, protocol: UDP, port: 53}, {name: tcp, protocol: TCP, port: 53}"
    ref = "{name: dns, port: 53}"
    found = mesh(gateway(listeners), route(ref), route(ref, kind="TCPRoute"), SERVICE)
    assert [(each.listener.name, each.route.backends) for each in found.attachments] == [
        ("udp", (WeightedBackend(backend=ObjectName("default", "dns:53/udp")),)),
        ("tcp", (WeightedBackend(backend=ObjectName("default", "dns:53")),)),
    ]


def test_both_versions_of_the_routes_are_taken() -> None:
    assert mesh(gateway(), route().replace("k8s.io/v1", "k8s.io/v1alpha2"), BACKEND).attachments
    (problem,) = problems(gateway(), route().replace("k8s.io/v1", "k8s.io/v1beta1"), BACKEND)
    assert 'of apiVersion "gateway.networking.k8s.io/v1" or "gateway.networking.k8s.io/v1alpha2", not' in problem


def test_what_a_cluster_adds_to_its_objects_is_accepted() -> None:
    text = gateway(more=", infrastructure: {labels: {a: b}}") + "status: {addresses: [{value: 192.0.2.1}]}\n"
    assert mesh(text, route() + "status: {parents: []}\n", BACKEND).attachments


def test_a_listener_without_a_route_is_no_attachment() -> None:
    assert mesh(gateway()).attachments == ()
    assert set(mesh(gateway()).gateways) == {ObjectName("default", "edge")}


def test_a_gateway_keeps_its_addresses_and_whom_it_takes() -> None:
    listener = (
        "{name: game, protocol: UDP, port: 7777, allowedRoutes: {namespaces: {from: All}, kinds: [{kind: UDPRoute}]}}"
    )
    more = ", addresses: [{type: IPAddress, value: 0.0.0.0}, {value: '::'}]"
    found = mesh(gateway(listener, more=more), BACKEND.replace("game}", "game, namespace: far}"), _far_route())
    (attachment,) = found.attachments
    assert attachment.gateway.addresses == ("0.0.0.0", "::")
    assert attachment.listener.namespaces is RouteNamespaces.ALL


def _far_route() -> str:
    return route(namespace="far", parent="{name: edge, namespace: default}")


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ([gateway(), route(parent="{name: edg}"), BACKEND], "spec.parentRefs[0].name: there is no Gateway default/edg"),
        (
            [gateway(), route(parent="{name: edge, sectionName: games}"), BACKEND],
            'spec.parentRefs[0].sectionName: Gateway default/edge has no listener "games"; its listeners: game',
        ),
        (
            [gateway(), route(parent="{name: edge, port: 1}"), BACKEND],
            "spec.parentRefs[0]: Gateway default/edge has no such listener",
        ),
        (
            [gateway(), route(kind="TCPRoute"), BACKEND],
            "spec.parentRefs[0]: the listener is not of protocol TCP, which a TCPRoute needs",
        ),
        (
            [gateway(), BACKEND.replace("game}", "game, namespace: far}"), _far_route()],
            "spec.parentRefs[0]: Gateway default/edge takes no routes from namespace far",
        ),
        (
            [gateway(), route(), route(name="other"), BACKEND],
            'UDPRoute default/other: spec.parentRefs[0]: UDPRoute default/game has listener "game" of Gateway',
        ),
        (
            [gateway(f"{LISTENER}, {{name: twin, protocol: UDP, port: 7777}}")],
            'spec.listeners[1].port: listener "game" of Gateway default/edge has UDP port 7777 already',
        ),
        (
            [
                gateway(more=", addresses: [{value: 0.0.0.0}]"),
                gateway(name="other", more=", addresses: [{value: 192.0.2.1}]"),
            ],
            'Gateway default/other: spec.listeners[0].port: listener "game" of Gateway default/edge has UDP port',
        ),
        (
            [gateway(), route("{kind: Backend, name: gam}"), BACKEND],
            "backendRefs[0].name: there is no Backend default/gam",
        ),
        (
            [gateway(), route("{name: dns, port: 54}"), SERVICE],
            "backendRefs[0].port: Service default/dns has no port 54",
        ),
        (
            [gateway(), route("{name: dns, port: 53}"), SERVICE.replace("{name: udp, port: 53, protocol: UDP}, ", "")],
            "backendRefs[0].port: port 53 of Service default/dns is not UDP, which this route needs",
        ),
        (
            [
                gateway(),
                route("{kind: Backend, name: game, namespace: far}"),
                BACKEND.replace("game}", "game, namespace: far}"),
            ],
            "backendRefs[0].namespace: a backend of another namespace needs a ReferenceGrant",
        ),
        (
            [gateway(), route(), BACKEND.replace(", port: 7000", "")],
            'backendRefs[0].name: endpoint "a" of Backend default/game needs a port: the default, 554, is RTSP\'s',
        ),
        ([gateway(), route("{kind: Backend, name: game, weight: 0}"), BACKEND], "backendRefs: every weight is 0"),
        (
            [gateway(), route().replace("rules: [", "rules: [{backendRefs: [{kind: Backend, name: game}]}, "), BACKEND],
            "spec.rules[1]: a second rule would never be used: UDP has nothing to tell sessions apart by",
        ),
    ],
)
def test_a_route_that_cannot_be_is_refused_with_its_place(documents: list[str], expected: str) -> None:
    refused(documents, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (gateway().replace("media-streaming-mesh", "nginx"), 'gatewayClassName: the class of gateways here is "media-'),
        (
            gateway("{name: a, protocol: HTTP, port: 80}"),
            "listeners[0].protocol: HTTP is not supported yet; 'UDP' or 'TCP'",
        ),
        (gateway("{name: a, protocol: QUIC, port: 80}"), "listeners[0].protocol: must be 'UDP' or 'TCP', not \"QUIC\""),
        (gateway("{name: a, protocol: UDP, port: 8, tls: {}}"), 'listeners[0].tls: "tls" is not supported yet'),
        (gateway("{name: a, protocol: UDP, port: 8, hostnam: a}"), "hostnam: unknown field"),
        (
            gateway("{name: a, protocol: UDP, port: 8, allowedRoutes: {namespaces: {from: Selector}}}"),
            "namespaces.from: Selector is not supported yet; 'Same' or 'All'",
        ),
        (
            gateway("{name: a, protocol: UDP, port: 8, allowedRoutes: {kinds: [{kind: TCPRoute}]}}"),
            "kinds[0].kind: a listener of protocol UDP takes UDPRoute, nothing else",
        ),
        (gateway(more=", addresses: [{type: Hostname, value: a}]"), "addresses[0].type: Hostname is not supported yet"),
        (gateway(more=", addresses: [{value: a.example}]"), 'addresses[0].value: "a.example" is not an IP address'),
        (
            gateway(more=", addresses: [{value: '::'}, {value: '::0'}]"),
            "addresses[1].value: this address is there already",
        ),
        (gateway(f"{LISTENER}, {{name: game, protocol: UDP, port: 1}}"), 'name: the name "game" is taken by [0]'),
        (gateway(more=", allowedListeners: {}"), '"allowedListeners" is not supported yet'),
    ],
)
def test_a_gateway_that_cannot_be_is_refused_with_its_place(text: str, expected: str) -> None:
    (problem, *_) = problems(text)
    assert expected in problem


def test_defaults_suit_the_protocol() -> None:
    listeners = f"{LISTENER}, {{name: chat, protocol: TCP, port: 7777}}"
    udp, tcp = mesh(gateway(listeners), route(), route(kind="TCPRoute"), BACKEND).attachments
    assert (udp.policy.idle_timeout, udp.policy.max_sessions) == (120.0, 16_384)
    assert (tcp.policy.idle_timeout, tcp.policy.max_sessions) == (3600.0, 16_384)
    assert udp.policy.algorithm is Algorithm.ROUND_ROBIN
    assert udp.policy.on_backend_change is OnBackendChange.STICK
    assert (udp.policy.per_packet, udp.policy.health_check, udp.policy.access_log) == (False, None, None)


def test_a_policy_says_all_that_can_be_said() -> None:
    spec = """balancing: {algorithm: Maglev}, session: {idleTimeout: 1m30s, onBackendChange: Move},
      limits: {maxSessions: 10}, accessLog: {type: File, path: /var/log/games},
      healthCheck: {type: HTTP, port: 80, path: /up, interval: 2s, timeout: 500ms, healthyThreshold: 2}"""
    (attachment,) = mesh(gateway(), route(), BACKEND, policy(spec)).attachments
    found = attachment.policy
    assert (found.algorithm, found.idle_timeout, found.max_sessions) == (Algorithm.MAGLEV, 90.0, 10)
    assert found.on_backend_change is OnBackendChange.MOVE
    assert found.access_log == AccessLog(path="/var/log/games")
    assert found.health_check == HealthCheck(
        protocol=ProbeProtocol.HTTP,
        port=80,
        path="/up",
        interval=2.0,
        timeout=0.5,
        healthy_threshold=2,
        unhealthy_threshold=3,
    )


def test_the_more_specific_policy_wins_field_by_field() -> None:
    gateways = policy(
        "session: {idleTimeout: 1s}, limits: {maxSessions: 1}, accessLog: {type: Stdout}",
        target="{kind: Gateway, name: edge}",
    )
    listeners = policy(
        "session: {idleTimeout: 2s}, limits: {maxSessions: 2}",
        name="b",
        target="{kind: Gateway, name: edge, sectionName: game}",
    )
    routes = policy("session: {idleTimeout: 3s}", name="c")
    (attachment,) = mesh(gateway(), route(), BACKEND, routes, gateways, listeners).attachments
    found = attachment.policy
    assert (found.idle_timeout, found.max_sessions, found.access_log) == (3.0, 2, AccessLog())


TCP = [gateway("{name: game, protocol: TCP, port: 1}"), route(kind="TCPRoute"), BACKEND]
UDP = [gateway(), route(), BACKEND]
TWO = [gateway(), route("{kind: Backend, name: game}, {kind: Backend, name: game, weight: 2}"), BACKEND]


@pytest.mark.parametrize(
    ("documents", "spec", "expected"),
    [
        (
            UDP,
            "healthCheck: {type: TCP}",
            "spec.healthCheck.port: UDPRoute default/game: UDP cannot be probed; name a TCP",
        ),
        (
            UDP,
            "balancing: {algorithm: LeastRequest}",
            "spec.balancing.algorithm: UDPRoute default/game: Envoy does not count",
        ),
        (
            TWO,
            "balancing: {algorithm: Random}",
            "spec.balancing.algorithm: UDPRoute default/game: Random knows no weights",
        ),
        (
            UDP,
            "balancing: {algorithm: Maglev, perPacket: true}",
            "spec.balancing.perPacket: UDPRoute default/game: Maglev keeps",
        ),
        (UDP, "balancing: {perPacket: true}, session: {onBackendChange: Stick}", "spec.session.onBackendChange"),
        (TCP, "balancing: {perPacket: true}", "spec.balancing.perPacket: TCPRoute default/game: TCP is a stream"),
        (TCP, "session: {onBackendChange: Move}", "spec.session.onBackendChange: TCPRoute default/game: a connection"),
        (UDP, "session: {mediaSource: Address}", "spec.session.mediaSource: UDPRoute default/game: a gateway serves"),
        (UDP, "session: {onBackendFailure: Move}", "spec.session.onBackendFailure: UDPRoute default/game: Envoy does"),
        (
            UDP,
            "session: {maxDuration: 1h, onBackendChange: Move}",
            "spec.session.onBackendChange: UDPRoute default/game: with maxDuration",
        ),
        (
            UDP,
            "session: {maxDuration: 1h}, balancing: {perPacket: true}",
            "spec.balancing.perPacket: UDPRoute default/game: with maxDuration",
        ),
        (UDP, "session: {idleTimeout: soon}", 'spec.session.idleTimeout: "soon" is not a duration, such as 90s'),
        (UDP, "session: {idleTimeout: 5}", "spec.session.idleTimeout: 5 is not a duration, such as 90s"),
        (UDP, "session: {idleTimeout: 1.5}", "spec.session.idleTimeout: 1.5 is not a duration, such as 90s"),
        (UDP, "session: {idleTimeout: yes please}", 'spec.session.idleTimeout: "yes please" is not a duration'),
        (UDP, "session: {idleTimeout: true}", "spec.session.idleTimeout: must be text"),
        (UDP, "session: {idleTimeout: 0s}", "spec.session.idleTimeout: must be longer than nothing"),
        (UDP, "accessLog: {type: File}", 'spec.accessLog: type File needs the field "path"'),
        (UDP, "accessLog: {type: Stdout, path: /a}", "spec.accessLog.path: goes with type File"),
        (UDP, "accessLog: {type: File, path: a}", 'spec.accessLog.path: "a" must be a path from the root'),
        (UDP, "healthCheck: {type: TCP, port: 1, path: /}", "spec.healthCheck.path: goes with type HTTP"),
        (
            UDP,
            "healthCheck: {type: TCP, port: 1, timeout: 6s}",
            "spec.healthCheck.timeout: is longer than the interval",
        ),
        (UDP, "limits: {maxSessions: 0}", "spec.limits.maxSessions: must be at least 1"),
        (UDP, "sessions: {}", 'spec.sessions: unknown field (did you mean "session"?)'),
    ],
)
def test_a_policy_that_cannot_be_honoured_is_refused_with_its_place(
    documents: list[str], spec: str, expected: str
) -> None:
    target = "{kind: TCPRoute, name: game}" if documents is TCP else "{kind: UDPRoute, name: game}"
    refused([*documents, policy(spec, target=target)], expected)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("{kind: UDPRoute, name: gam}", "spec.targetRefs[0].name: there is no UDPRoute default/gam"),
        ("{kind: TCPRoute, name: game}", "spec.targetRefs[0].name: there is no TCPRoute default/game"),
        ("{kind: Gateway, name: edg}", "spec.targetRefs[0].name: there is no Gateway default/edg"),
        ("{kind: Gateway, name: edge, sectionName: a}", 'sectionName: Gateway default/edge has no listener "a"'),
        ("{kind: UDPRoute, name: game, sectionName: a}", "sectionName: only a Gateway has sections"),
        ("{kind: Service, name: game}", "spec.targetRefs[0].kind: must be 'Gateway', 'UDPRoute', 'TCPRoute', "),
    ],
)
def test_a_policy_for_nothing_is_refused_with_its_place(target: str, expected: str) -> None:
    refused([*UDP, policy(target=target)], expected)


def test_a_target_has_one_policy() -> None:
    refused(
        [*UDP, policy(), policy(name="other")], "other: spec.targetRefs[0]: MediaPolicy default/games has this target"
    )


def test_a_server_that_leaves_keeps_what_it_has_and_gets_nothing_new() -> None:
    slices = """\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a, labels: {kubernetes.io/service-name: dns}}
addressType: IPv4
ports: [{name: udp, port: 5353, protocol: UDP}]
endpoints:
  - {addresses: [10.0.0.1], conditions: {ready: true}}
  - {addresses: [10.0.0.2], conditions: {ready: false, serving: true, terminating: true}}
  - {addresses: [10.0.0.3], conditions: {ready: false, serving: false, terminating: true}}
  - {addresses: [10.0.0.1], conditions: {ready: false, serving: true, terminating: true}}
"""
    backend = mesh(gateway(), route("{name: dns, port: 53}"), SERVICE, slices).backends[
        ObjectName("default", "dns:53/udp")
    ]
    assert [endpoint.address for endpoint in backend.endpoints] == ["10.0.0.1"]
    assert [endpoint.address for endpoint in backend.leaving] == ["10.0.0.2"]


def test_of_documents_with_mistakes_no_other_is_blamed() -> None:
    (problem,) = problems(gateway("{name: game, protocol: UDP, prt: 7777, port: 1}"), route(), BACKEND, policy())
    assert "prt: unknown field" in problem


def test_two_sources_cannot_have_one_gateway() -> None:
    parts = [compile_documents(load_documents([("m", gateway())]), source=name) for name in ("files", "kubernetes")]
    with pytest.raises(MeshError, match="Gateway default/edge is defined by both files and kubernetes"):
        merge(parts)


def test_the_faults_of_two_sources_together_are_found() -> None:
    one = compile_documents(load_documents([("m", gateway())]), source="files")
    other = compile_documents(load_documents([("m", gateway(name="other"))]), source="kubernetes")
    with pytest.raises(MeshError, match='Gateway default/other: listener "game" of Gateway default/edge has UDP port'):
        merge([one, other])


WHOLE = [
    gateway(
        "{name: game, protocol: UDP, port: 7777, allowedRoutes: {namespaces: {from: Same}, kinds: [{kind: UDPRoute}]}}"
    ),
    route("{kind: Backend, name: game, weight: 2}, {name: dns, port: 53}", parent="{name: edge, sectionName: game}"),
    BACKEND,
    SERVICE,
    policy("session: {idleTimeout: 9s}, limits: {maxSessions: 1}, healthCheck: {type: HTTP, port: 1, path: /}"),
]
TEXT = "---\n".join(WHOLE)
PLACES = [match.span() for match in re.finditer(r"[\w./-]+|[{}\[\],:]", TEXT)]
WORDS = sorted({TEXT[begin:end] for begin, end in PLACES})

TYPOS = st.tuples(st.integers(0, len(PLACES) - 1), st.sampled_from([*WORDS, "", "9", "''"]))


@given(st.lists(TYPOS, max_size=3))
@settings(max_examples=200, deadline=None)
def test_whatever_a_typo_makes_of_documents_they_are_a_mesh_or_refused_with_a_place(
    typos: list[tuple[int, str]],
) -> None:
    text = TEXT
    for index, word in sorted(dict(typos).items(), reverse=True):
        begin, end = PLACES[index]
        text = text[:begin] + word + text[end:]
    try:
        merge([compile_documents(load_documents([("mesh.yaml", text)]), source="files")])
    except DocumentErrors as error:
        assert all(str(problem).startswith("mesh.yaml:") for problem in error.problems)
