"""Documents are read whole, or refused with every mistake and its place."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.documents import Backend, DocumentErrors, Documents, RTSPRoute, load_documents, loading
from mesh.documents.loaded import KINDS
from mesh.model import BackendTransport, PathMatchType

HEAD = "apiVersion: mediastreamingmesh.io/v1alpha1\n"
ROUTE = (
    HEAD
    + """\
kind: RTSPRoute
metadata: {name: lobby}
spec:
  rules:
    - matches:
        - path: {value: /lobby}
      backendRefs:
        - {kind: Backend, name: lobby}
"""
)
BACKEND = (
    HEAD
    + """\
kind: Backend
metadata: {name: lobby}
spec:
  endpoints:
    - {name: one, address: 192.0.2.10}
"""
)


def _load(*texts: str) -> Documents:
    return load_documents((f"{index}.yaml", text) for index, text in enumerate(texts))


def _problems(*texts: str) -> list[str]:
    with pytest.raises(DocumentErrors) as caught:
        _load(*texts)
    return [str(problem) for problem in caught.value.problems]


def _route_with(**rule: Any) -> str:
    """A route of one rule, in YAML's flow style, and nothing else wrong with it."""
    return (
        f"{HEAD}kind: RTSPRoute\nmetadata: {{name: lobby}}\nspec:\n  rules:\n"
        + "    - "
        + _flow({"backendRefs": [{"kind": "Backend", "name": "lobby"}], **rule})
    )


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def test_several_documents_and_files_are_read_in_order() -> None:
    documents = _load(f"{BACKEND}---\n{ROUTE}", BACKEND.replace("lobby", "door"))
    assert [item.document.metadata.name for item in documents.loaded] == ["lobby", "lobby", "door"]
    assert len(documents.of_kind(Backend)) == 2


def test_defaults_are_those_of_gateway_api() -> None:
    text = HEAD + "kind: RTSPRoute\nmetadata: {name: a}\nspec: {rules: [{backendRefs: [{name: b, port: 554}]}]}"
    (loaded,) = _load(text).of_kind(RTSPRoute)
    (rule,) = loaded.document.spec.rules
    assert loaded.document.metadata.namespace == "default"
    assert (rule.matches[0].path.type, rule.matches[0].path.value) == (PathMatchType.PATH_PREFIX, "/")
    assert (rule.backend_refs[0].kind.value, rule.backend_refs[0].weight) == ("Service", 1)


def test_a_backend_has_the_defaults_of_rtsp() -> None:
    (loaded,) = _load(BACKEND).of_kind(Backend)
    (endpoint,) = loaded.document.spec.endpoints
    assert (endpoint.port, endpoint.path, endpoint.transport) == (554, "", BackendTransport.AUTO)


def test_an_unknown_field_is_named_with_its_place_and_what_may_be_meant() -> None:
    text = ROUTE.replace("{kind: Backend, name: lobby}", "{kind: Backend, name: lobby, nme: x}")
    assert _problems(text) == [
        '0.yaml:9: RTSPRoute default/lobby: spec.rules[0].backendRefs[0].nme: unknown field (did you mean "name"?)'
    ]


def test_snake_case_is_not_a_second_spelling() -> None:
    text = ROUTE.replace("backendRefs", "backend_refs")
    assert any('backend_refs: unknown field (did you mean "backendRefs"?)' in line for line in _problems(text))


def test_all_problems_of_all_files_are_told_at_once() -> None:
    problems = _problems(
        ROUTE.replace("kind: Backend", "kind: Camera").replace("/lobby", "lobby"),
        "a: [",
        BACKEND.replace("192.0.2.10", "192.0.2.300") + "      port: 0\n",
        "kind: Backend",
    )
    assert [problem.split(":")[0] for problem in problems] == ["0.yaml", "1.yaml", "2.yaml", "3.yaml"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: Backend", 'Backend: the field "apiVersion" is missing'),
        ("apiVersion: v1", 'document 1: the field "kind" is missing'),
        ("- a", 'document 1: a document is a mapping with "apiVersion", "kind", "metadata" and "spec"'),
        (HEAD + "kind: RTSPRout", 'RTSPRout: unknown kind "RTSPRout" (did you mean "RTSPRoute"?)'),
        (
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute",
            'HTTPRoute: unknown kind "HTTPRoute": RTSP URLs are routed by an RTSPRoute'
            " (mediastreamingmesh.io/v1alpha1), which has HTTPRoute's shape without parentRefs",
        ),
        (
            "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass",
            'GatewayClass: unknown kind "GatewayClass": leave it out, the class of Gateways here is always'
            ' "media-streaming-mesh"',
        ),
        (
            "apiVersion: v1\nkind: Pod",
            'Pod: unknown kind "Pod"; known are ' + ", ".join(kind.__name__ for kind in KINDS),
        ),
        (
            "apiVersion: mediastreamingmesh.io/v1\nkind: Backend\nmetadata: {name: a, namespace: b}",
            'Backend b/a: Backend is of apiVersion "mediastreamingmesh.io/v1alpha1", not "mediastreamingmesh.io/v1"',
        ),
    ],
)
def test_a_document_of_no_known_kind_is_refused(text: str, expected: str) -> None:
    assert _problems(text) == [f"0.yaml:1: {expected}"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("192.0.2.10", "192.0.2.300", 'spec.endpoints[0].address: "192.0.2.300" is not an IPv4 address'),
        ("192.0.2.10", "'2001:db8::g'", '"2001:db8::g" is not an IPv6 address'),
        ("192.0.2.10", "'cam:554'", 'a port belongs in the field "port"'),
        ("192.0.2.10", "'cam:554'", '"cam:554" is not a host name or IP address'),
        ("192.0.2.10", "'rtsp://cam/live'", 'what else is in a URL has fields of its own: "port", "path"'),
        ("192.0.2.10", "cam/live", '"cam/live" is not a host name or IP address'),
        ("192.0.2.10", "'fe80::1%eth0'", "zone"),
        ("192.0.2.10", "a..b", '"a..b" is neither an IP address nor a host name'),
        ("192.0.2.10", "x, port: 65536", "spec.endpoints[0].port: must be at most 65535"),
        ("192.0.2.10", "x, port: '554'", "spec.endpoints[0].port: must be a whole number, without quotes"),
        ("192.0.2.10", "x, transport: sctp", "must be 'auto', 'udp', 'tcp', 'http' or 'multicast', not \"sctp\""),
        ("192.0.2.10", "x, path: stream", 'must begin with "/"'),
        ("192.0.2.10", "12", "address: must be text (in quotes, if it looks like a number)"),
        ("{name: lobby}", "{name: Lobby}", '"Lobby" must be lower-case letters'),
        ("{name: lobby}", "{namespace: b}", "metadata.name: this field is required"),
        ("    - {name: one, address: 192.0.2.10}", "    []", "spec.endpoints: needs at least 1 item(s)"),
        (
            "    - {name: one, address: 192.0.2.10}",
            "    - {name: one, address: a}\n    - {name: one, address: b}",
            'spec.endpoints[1].name: the name "one" is taken by [0]',
        ),
    ],
)
def test_a_backend_with_a_mistake_is_refused(old: str, new: str, expected: str) -> None:
    (problem,) = _problems(BACKEND.replace(old, new))
    assert expected in problem


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "::1", "cam", "cam_1.Example.com"])
def test_addresses_are_ip_addresses_or_host_names(address: str) -> None:
    _load(BACKEND.replace("192.0.2.10", f"'{address}'"))


_REWRITE = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
FULL = {"type": "ReplaceFullPath", "replaceFullPath": "/x"}
REDIRECT = {"type": "RequestRedirect", "requestRedirect": {"port": 8554}}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"matches": [{"method": "GET"}]}, "matches[0].method: must be 'DESCRIBE', 'ANNOUNCE' or 'SETUP'"),
        ({"matches": [{"headers": [{"name": "a b", "value": "1"}]}]}, "must be a name without spaces and colons"),
        (
            {"matches": [{"headers": [{"name": "X", "value": "1"}, {"name": "x", "value": "2"}]}]},
            'spec.rules[0].matches[0].headers[1].name: the name "x" is taken by [0]',
        ),
        (
            {"matches": [{"queryParams": [{"name": "a", "value": "(", "type": "RegularExpression"}]}]},
            "matches[0].queryParams[0].value: not an RE2 regular expression",
        ),
        ({"timeouts": {"request": 5}}, "rules[0].timeouts.request: 5 is not a duration"),
        (
            {"timeouts": {"request": "1s", "backendRequest": "2s"}},
            "timeouts.backendRequest: one try cannot take longer than all of them (request)",
        ),
        ({"retry": {"codes": [200]}}, "rules[0].retry.codes[0]: must be at least 400"),
        ({"retry": {"backoff": "1s"}}, 'rules[0].retry.backoff: "backoff" is not supported yet'),
        (
            {"filters": [{"type": "CORS"}]},
            "the filter CORS is not supported yet; 'URLRewrite', 'Requ",
        ),
        ({"filters": [{"type": "Rewrite"}]}, "must be 'URLRewrite', 'RequestRedirect', "),
        ({"filters": [{"type": "RequestHeaderModifier"}]}, 'needs the field "requestHeaderModifier"'),
        (
            {"filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {}}]},
            "filters[0].requestHeaderModifier: it changes nothing",
        ),
        (
            {"filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["CSeq"]}}]},
            "responseHeaderModifier.remove[0]: the header CSeq belongs to the proxy; routes cannot change it",
        ),
        (
            {
                "filters": [
                    {
                        "type": "RequestHeaderModifier",
                        "requestHeaderModifier": {"add": [{"name": "A", "value": "x\\ny"}]},
                    }
                ]
            },
            'requestHeaderModifier.add[0].value: "x\ny" must hold no line end',
        ),
        ({"filters": [REDIRECT]}, "spec.rules[0].backendRefs: a rule that redirects sends no session to a backend"),
        (
            {"backendRefs": [], "filters": [{"type": "RequestRedirect", "requestRedirect": {}}]},
            "it changes nothing, so players would come back for ever",
        ),
        (
            {"backendRefs": [], "filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "rtsp"}}]},
            "requestRedirect.scheme: must be 'rtsps'",
        ),
        (
            {
                "backendRefs": [],
                "filters": [{"type": "RequestRedirect", "requestRedirect": {"port": 1, "statusCode": 307}}],
            },
            "requestRedirect.statusCode: must be 301, 302 or 303",
        ),
        (
            {"backendRefs": [], "retry": {}, "filters": [REDIRECT]},
            "rules[0].retry: a rule that redirects asks no backend",
        ),
        (
            {"backendRefs": [], "filters": [REDIRECT, {"type": "URLRewrite", "urlRewrite": {"path": FULL}}]},
            "a rule that redirects asks no backend: neither URLRewrite nor RequestHeaderModifier",
        ),
        (
            {"filters": [{"type": "URLRewrite", "urlRewrite": {"path": FULL}, "requestRedirect": {"port": 1}}]},
            "filters[0].requestRedirect: this field goes with type RequestRedirect, not with URLRewrite",
        ),
        ({"filters": [{"type": "URLRewrite"}]}, 'type URLRewrite needs the field "urlRewrite"'),
        ({"matches": [{"path": {"value": "lobby"}}]}, 'a path begins with "/"'),
        ({"matches": [{"path": {"value": "/a//b"}}]}, 'a path must not contain "//"'),
        ({"matches": [{"path": {"value": "/a?b"}}]}, 'a path must not contain "?"'),
        ({"matches": [{"path": {"value": "/a/.."}}]}, 'a path must not end with "/.."'),
        ({"matches": [{"path": {"value": "/a b"}}]}, "spaces"),
        (
            {"matches": [{"path": {"type": "RegularExpression", "value": "/a("}}]},
            "spec.rules[0].matches[0].path.value: not an RE2 regular expression: missing ): /a(",
        ),
        ({"matches": [{"path": {"type": "Glob"}}]}, "must be 'Exact', 'PathPrefix' or 'RegularExpression'"),
        ({"backendRefs": [{"name": "a"}]}, 'a Service needs the field "port"'),
        ({"backendRefs": [{"kind": "Backend", "name": "a", "port": 554}]}, "endpoints have their own ports"),
        ({"backendRefs": [{"kind": "Backend", "name": "a", "group": "x"}]}, 'the group of Backend is "mediastr'),
        ({"backendRefs": [{"kind": "Backend", "name": "a", "weight": 0}]}, "every weight is 0"),
        ({"backendRefs": [{"kind": "Backend", "name": "a", "weight": -1}]}, "must be at least 0"),
        ({"backendRefs": [{"kind": "Backend", "name": "a", "filters": []}]}, '"filters" is not supported yet'),
        ({"backendRefs": []}, "a rule needs backendRefs, or a filter of type RequestRedirect"),
        (
            {
                "matches": [{"path": {"type": "Exact", "value": "/a"}}],
                "filters": [{"type": "URLRewrite", "urlRewrite": {"path": _REWRITE}}],
            },
            "ReplacePrefixMatch needs every match of the rule to be of type PathPrefix",
        ),
        (
            {"filters": [{"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath"}}}]},
            'type ReplaceFullPath needs the field "replaceFullPath"',
        ),
        (
            {"filters": [{"type": "URLRewrite", "urlRewrite": {"path": {**_REWRITE, "replaceFullPath": "/x"}}}]},
            'type ReplacePrefixMatch goes with "replacePrefixMatch", not with this field',
        ),
        (
            {"filters": [{"type": "URLRewrite", "urlRewrite": {"path": _REWRITE}}] * 2},
            "a second URLRewrite filter",
        ),
        (
            {"filters": [{"type": "URLRewrite", "urlRewrite": {"hostname": "x", "path": _REWRITE}}]},
            '"hostname" is not supported yet',
        ),
    ],
)
def test_a_route_with_a_mistake_is_refused(rule: dict[str, Any], expected: str) -> None:
    (problem,) = _problems(_route_with(**rule))
    assert expected in problem
    assert problem.startswith("0.yaml:6: RTSPRoute default/lobby: spec.rules[0]")


def test_rules_of_one_name_are_refused_also_when_the_name_was_given_by_us() -> None:
    rules = "[{backendRefs: [{name: b, port: 1}]}, {name: rule-0, backendRefs: [{name: b, port: 1}]}]"
    text = f"{HEAD}kind: RTSPRoute\nmetadata: {{name: a}}\nspec: {{rules: {rules}}}"
    assert _problems(text) == ['0.yaml:4: RTSPRoute default/a: spec.rules[1].name: the name "rule-0" is taken by [0]']


def test_hostnames_have_no_port_and_one_wildcard_at_most() -> None:
    for host in ("cam.example.com:554", "*", "a.*.com", "Cam.example.com"):
        text = ROUTE.replace("spec:\n", f"spec:\n  hostnames: ['{host}']\n")
        (problem,) = _problems(text)
        assert "spec.hostnames[0]" in problem


def test_an_object_written_twice_names_both_places() -> None:
    assert _problems(BACKEND, f"# again\n{BACKEND}") == ["1.yaml:2: Backend default/lobby: already defined at 0.yaml:1"]


def test_a_key_written_twice_is_refused() -> None:
    text = BACKEND.replace("kind: Backend", "kind: Backend\nmetadata: {name: other}")
    assert _problems(text) == ["0.yaml:4: Backend default/other: metadata: this key is already on line 3"]


def test_a_reference_to_nothing_is_told_beside_the_mistakes_of_other_documents_in_their_order() -> None:
    lost = ROUTE.replace("metadata: {name: lobby}", "metadata: {name: yard}").replace("name: lobby}", "name: loby}")
    bad = BACKEND.replace("lobby", "door").replace("192.0.2.10", "192.0.2.300")
    assert _problems(lost, f"{BACKEND}---\n{bad}") == [
        "0.yaml:9: RTSPRoute default/yard: spec.rules[0].backendRefs[0].name: there is no Backend default/loby"
        ' (did you mean "default/lobby"?)',
        '1.yaml:13: Backend default/door: spec.endpoints[0].address: "192.0.2.300" is not an IPv4 address',
    ]


@pytest.mark.parametrize(
    "damaged",
    [
        BACKEND.replace("192.0.2.10", "192.0.2.300"),
        BACKEND.replace("kind: Backend", "kind: Backand"),
        BACKEND.replace("name: lobby", "name: Lobby"),
        BACKEND.replace("name: lobby", "nmae: lobby"),
        BACKEND.replace("metadata: {name: lobby}\n", ""),
        BACKEND.replace("spec:", "\tspec:"),
        f"- a list\n---\n{BACKEND.replace('lobby', 'other')}",
    ],
)
def test_a_reference_to_what_may_be_a_damaged_document_is_no_mistake_of_its_own(damaged: str) -> None:
    assert all("there is no Backend" not in problem for problem in _problems(ROUTE, damaged))


def test_kubernetes_objects_are_taken_as_a_cluster_prints_them() -> None:
    _load(
        """
apiVersion: v1
kind: Service
metadata:
  name: cams
  creationTimestamp: "2026-01-02T03:04:05Z"
  resourceVersion: "12"
  uid: 0b0c
spec:
  clusterIP: 10.0.0.1
  clusterIPs: [10.0.0.1]
  internalTrafficPolicy: Cluster
  ipFamilies: [IPv4]
  ipFamilyPolicy: SingleStack
  ports: [{name: rtsp, port: 554, protocol: TCP, targetPort: rtsp}]
  selector: {app: cams}
  sessionAffinity: None
  type: ClusterIP
status: {loadBalancer: {}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: cams-abc
  creationTimestamp: null
  labels: {kubernetes.io/service-name: cams}
addressType: IPv4
endpoints:
  - addresses: [10.1.0.7]
    conditions: {ready: true, serving: true, terminating: false}
    nodeName: node-1
    targetRef: {kind: Pod, name: cam-0, namespace: default, uid: 1a}
    zone: a
ports: [{name: rtsp, port: 8554, protocol: TCP}]
"""
    )


def test_a_misspelt_field_of_a_kubernetes_object_is_still_found() -> None:
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  selectr: {a: b}\n"
    assert _problems(text) == ['0.yaml:5: Service default/a: spec.selectr: unknown field (did you mean "selector"?)']


def test_too_many_documents_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_DOCUMENTS", 2)
    documents = "---\n".join(BACKEND.replace("lobby", f"b{index}") for index in range(3))
    assert _problems(documents) == ["0.yaml:15: more than 2 documents"]


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_FILE_CHARACTERS", 100)
    assert _problems(BACKEND) == ["0.yaml: larger than 100 characters"]


def test_a_flood_of_problems_is_cut() -> None:
    problems = _problems("---\n".join("kind: X\n" for _ in range(loading.MAX_PROBLEMS + 5)))
    assert len(problems) == loading.MAX_PROBLEMS + 1
    assert problems[-1].endswith("and 5 more problems")


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_document_gives_problems_and_nothing_else(data: st.DataObject) -> None:
    text = f"{ROUTE}---\n{BACKEND}"
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    damaged = text[:start] + data.draw(st.text(alphabet="a1 :-{}[]\n\"'&*!|", max_size=8)) + text[end:]
    try:
        _load(damaged)
    except DocumentErrors as error:
        assert all(problem.line is not None and problem.message for problem in error.problems)
