"""Documents become a slice; what refers to nothing is named with its place."""

import pytest

from mesh.documents import DocumentErrors, compile_documents, load_documents
from mesh.model import Endpoint, ObjectName, PathMatchType, PathRewrite, PathRewriteType, Slice, WeightedBackend

GROUP = "apiVersion: mediastreamingmesh.io/v1alpha1\n"
BACKEND = GROUP + "kind: Backend\nmetadata: {name: lobby}\nspec: {endpoints: [{name: one, address: cam, path: /s}]}\n"
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: cams}
spec: {ports: [{name: rtsp, port: 554}, {name: media, port: 5000, protocol: UDP}]}
"""


def _compile(*documents: str) -> Slice:
    return compile_documents(load_documents([("mesh.yaml", "---\n".join(documents))]), source="files")


def _problems(*documents: str) -> list[str]:
    with pytest.raises(DocumentErrors) as caught:
        _compile(*documents)
    return [str(problem) for problem in caught.value.problems]


def _route(ref: str, namespace: str = "default") -> str:
    return (
        f"{GROUP}kind: RTSPRoute\nmetadata: {{name: lobby, namespace: {namespace}}}\n"
        f"spec:\n  rules:\n    - backendRefs:\n        - {ref}\n"
    )


def _slice(endpoints: str, *, name: str = "a", port: str = "{name: rtsp, port: 8554}", family: str = "IPv4") -> str:
    return (
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
        f"metadata: {{name: {name}, labels: {{kubernetes.io/service-name: cams}}}}\n"
        f"addressType: {family}\nports: [{port}]\nendpoints: [{endpoints}]\n"
    )


def _addresses(part: Slice) -> list[str]:
    return [endpoint.address for endpoint in part.backends[ObjectName("default", "cams:554")].endpoints]


def test_a_route_keeps_all_that_it_says() -> None:
    route = f"""\
{GROUP}kind: RTSPRoute
metadata: {{name: lobby}}
spec:
  hostnames: [cams.example.com]
  rules:
    - name: main
      matches: [{{path: {{type: Exact, value: /a}}}}, {{path: {{value: /b}}}}]
      filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplaceFullPath, replaceFullPath: /x}}}}}}]
      backendRefs: [{{kind: Backend, name: lobby, weight: 3}}, {{name: cams, port: 554}}]
"""
    part = _compile(route, BACKEND, SERVICE)
    found = part.routes[ObjectName("default", "lobby")]
    (rule,) = found.rules
    assert (part.source, found.hostnames, rule.name) == ("files", ("cams.example.com",), "main")
    assert [(match.path.type, match.path.value) for match in rule.matches] == [
        (PathMatchType.EXACT, "/a"),
        (PathMatchType.PATH_PREFIX, "/b"),
    ]
    assert rule.rewrite == PathRewrite(type=PathRewriteType.REPLACE_FULL_PATH, value="/x")
    assert rule.backends == (
        WeightedBackend(backend=ObjectName("default", "lobby"), weight=3),
        WeightedBackend(backend=ObjectName("default", "cams:554"), weight=1),
    )


def test_an_empty_list_of_matches_means_any_path() -> None:
    text = _route("{kind: Backend, name: lobby}") + "      matches: []\n"
    (rule,) = _compile(text, BACKEND).routes[ObjectName("default", "lobby")].rules
    assert [(match.path.type, match.path.value) for match in rule.matches] == [(PathMatchType.PATH_PREFIX, "/")]


def test_an_empty_replacement_of_the_prefix_means_the_root() -> None:
    modifier = "{type: ReplacePrefixMatch, replacePrefixMatch: ''}"
    text = _route("{kind: Backend, name: lobby}")
    text += f"      filters: [{{type: URLRewrite, urlRewrite: {{path: {modifier}}}}}]\n"
    (rule,) = _compile(text, BACKEND).routes[ObjectName("default", "lobby")].rules
    assert rule.rewrite == PathRewrite(type=PathRewriteType.REPLACE_PREFIX_MATCH, value="/")


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("{kind: Backend, name: loby}", 'name: there is no Backend default/loby (did you mean "default/lobby"?)'),
        ("{kind: Backend, name: cams}", "name: there is no Backend default/cams (there is a Service of that name)"),
        ("{name: lobby, port: 1}", "name: there is no Service default/lobby (there is a Backend: say kind: Backend)"),
        ("{name: cams, namespace: x, port: 554}", "namespace: a backend of another namespace needs a ReferenceGrant"),
        ("{kind: Backend, name: lobby, namespace: x}", "namespace: a backend of another namespace needs a Reference"),
        ("{name: cams, port: 555}", "port: Service default/cams has no port 555; its ports: 554, 5000"),
        ("{name: cams, port: 5000}", "port: port 5000 of Service default/cams is not TCP, which this route needs"),
    ],
)
def test_a_reference_to_nothing_is_refused_with_its_place(ref: str, expected: str) -> None:
    (problem,) = _problems(_route(ref), BACKEND, SERVICE)
    place = "mesh.yaml:7: RTSPRoute default/lobby: spec.rules[0].backendRefs[0]."
    assert problem.startswith(place + expected)


@pytest.mark.parametrize(
    ("ref", "namespace", "hint"),
    [
        ("{kind: Backend, name: zz}", "default", ""),
        ("{kind: Backend, name: lobby}", "defautl", ' (did you mean "default/lobby"?)'),
        ("{kind: Backend, name: loby}", "defautl", ""),
        ("{kind: Backend, name: lobby}", "x", ""),
    ],
)
def test_only_what_is_spelt_alike_is_suggested(ref: str, namespace: str, hint: str) -> None:
    (problem,) = _problems(_route(ref, namespace=namespace), BACKEND)
    assert problem.partition(" (")[1:] == (hint[:2], hint[2:])


@pytest.mark.parametrize("field", ["backendRef", "backendRefs"])
def test_what_another_namespace_has_is_not_taken_without_its_owners_leave(field: str) -> None:
    """With a Backend comes what its cameras are told, so whoever may write routes elsewhere must not have it."""
    theirs = BACKEND.replace("name: lobby}", "name: lobby, namespace: theirs}", 1)
    ref = "{kind: Backend, name: lobby, namespace: theirs}"
    route = _route(ref)
    if field == "backendRef":
        mirror = f"{{type: RequestMirror, requestMirror: {{backendRef: {ref}}}}}"
        route = _route(f"{{kind: Backend, name: lobby}}\n      filters: [{mirror}]")
    (problem,) = _problems(route, BACKEND, theirs)
    assert f"{field}" in problem
    assert "namespace: a backend of another namespace needs a ReferenceGrant" in problem


def test_a_reference_is_to_the_namespace_of_the_route() -> None:
    (problem,) = _problems(_route("{kind: Backend, name: lobby}", namespace="x"), BACKEND)
    assert "there is no Backend x/lobby" in problem


def test_a_slice_of_no_service_is_refused() -> None:
    (problem,) = _problems(_slice(""))
    assert "metadata.labels.kubernetes.io/service-name: there is no Service default/cams" in problem


def test_every_port_of_a_service_is_a_backend() -> None:
    part = _compile(SERVICE.replace("{name: media", "{name: more, port: 8554}, {name: media"))
    assert sorted(map(str, part.backends)) == ["default/cams:5000/udp", "default/cams:554", "default/cams:8554"]


def test_endpoints_come_from_the_slices_port_of_the_same_name() -> None:
    servers = "{addresses: [10.0.0.1], targetRef: {name: cam-0}}, {addresses: [10.0.0.2]}"
    part = _compile(SERVICE, _slice(servers, port="{name: other, port: 1}, {name: rtsp, port: 8554}"))
    assert part.backends[ObjectName("default", "cams:554")].endpoints == (
        Endpoint(name="cam-0", address="10.0.0.1", port=8554),
        Endpoint(name="10.0.0.2", address="10.0.0.2", port=8554),
    )


def test_slices_of_one_service_add_up_and_name_each_server_once() -> None:
    one, two = "{addresses: [10.0.0.1]}", "{addresses: [10.0.0.2]}"
    assert _addresses(_compile(SERVICE, _slice(one), _slice(f"{one}, {two}", name="b"))) == ["10.0.0.1", "10.0.0.2"]


@pytest.mark.parametrize(
    ("conditions", "used"),
    [
        ("{}", True),
        ("{ready: true}", True),
        ("{ready: false}", False),
        ("{ready: false, serving: true, terminating: false}", False),
        ("{ready: false, serving: true, terminating: true}", True),
        ("{ready: false, serving: false, terminating: true}", False),
    ],
)
def test_conditions_say_which_servers_are_used(conditions: str, used: bool) -> None:
    part = _compile(SERVICE, _slice(f"{{addresses: [10.0.0.1], conditions: {conditions}}}"))
    assert bool(_addresses(part)) is used


def test_a_terminating_server_is_a_last_resort() -> None:
    going = "{addresses: [10.0.0.1], conditions: {ready: false, serving: true, terminating: true}}"
    assert _addresses(_compile(SERVICE, _slice(f"{going}, {{addresses: [10.0.0.2]}}"))) == ["10.0.0.2"]


def test_of_two_families_the_services_first_is_used() -> None:
    slices = _slice("{addresses: [10.0.0.1]}"), _slice("{addresses: ['2001:db8::1']}", name="b", family="IPv6")
    assert _addresses(_compile(SERVICE, *slices)) == ["10.0.0.1"]
    six_first = SERVICE.replace("spec: {", "spec: {ipFamilies: [IPv6, IPv4], ")
    assert _addresses(_compile(six_first, *slices)) == ["2001:db8::1"]


def test_an_external_name_is_its_own_endpoint() -> None:
    service = SERVICE.replace("spec: {", "spec: {type: ExternalName, externalName: cam.example.com, ")
    assert _addresses(_compile(service)) == ["cam.example.com"]
