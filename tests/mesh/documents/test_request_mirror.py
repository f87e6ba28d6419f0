"""`requestMirror` of a document becomes a mirror of its route, or is refused with the field at fault."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from mesh.documents import DocumentErrors, compile_documents, load_documents
from mesh.model import Mirror, ObjectName

API = "apiVersion: mediastreamingmesh.io/v1alpha1\n"
BACKENDS = "".join(
    f"---\n{API}kind: Backend\nmetadata: {{name: {name}}}\nspec: {{endpoints: [{{name: one, address: 192.0.2.10}}]}}\n"
    for name in ("old", "new")
)
GROUP = (
    f"---\n{API}kind: Backend\nmetadata: {{name: group}}\n"
    "spec: {endpoints: [{name: one, address: 192.0.2.10, transport: multicast}]}\n"
)
SERVICE = "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{name: rtsp, port: 554}]}\n"
TO_NEW = {"backendRef": {"kind": "Backend", "name": "new"}}


def _document(*mirrors: dict[str, Any], **rule: Any) -> str:
    filters = [{"type": "RequestMirror", "requestMirror": mirror} for mirror in mirrors]
    refs = [{"kind": "Backend", "name": "old"}]
    body = {"rules": [{"backendRefs": refs, "filters": [*filters, *rule.pop("filters", ())], **rule}]}
    return f"{API}kind: RTSPRoute\nmetadata: {{name: lobby}}\nspec: {json.dumps(body)}\n{BACKENDS}{GROUP}{SERVICE}"


def _mirrors(*mirrors: dict[str, Any]) -> tuple[Mirror, ...]:
    made = compile_documents(load_documents([("0.yaml", _document(*mirrors))]), source="files")
    return made.routes[ObjectName("default", "lobby")].rules[0].mirrors


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ({}, Fraction(1)),
        ({"percent": 0}, Fraction(0)),
        ({"percent": 7}, Fraction(7, 100)),
        ({"fraction": {"numerator": 3}}, Fraction(3, 100)),
        ({"fraction": {"numerator": 1, "denominator": 3}}, Fraction(1, 3)),
        ({"fraction": {"numerator": 1000, "denominator": 1000}}, Fraction(1)),
    ],
)
def test_a_part_is_said_in_percent_or_as_a_fraction_or_is_all(said: dict[str, Any], part: Fraction) -> None:
    assert _mirrors({**TO_NEW, **said}) == (Mirror(backend=ObjectName("default", "new"), part=part),)


def test_a_rule_may_have_several_and_a_service_may_be_one() -> None:
    found = _mirrors(TO_NEW, {"backendRef": {"name": "web", "port": 554}})
    assert [str(mirror.backend) for mirror in found] == ["default/new", "default/web:554"]


_AT = "spec.rules[0].filters[0].requestMirror"
_REDIRECT = {"type": "RequestRedirect", "requestRedirect": {"port": 1}}


@pytest.mark.parametrize(
    ("mirror", "rule", "expected"),
    [
        ({"backendRef": {"kind": "Backend", "name": "nwe"}}, {}, f"{_AT}.backendRef.name: there is no Backend"),
        (
            {"backendRef": {"kind": "Backend", "name": "group"}},
            {},
            f'{_AT}.backendRef.name: endpoint "one" of Backend default/group sends by multicast',
        ),
        ({"backendRef": {"name": "web", "port": 1}}, {}, f"{_AT}.backendRef.port: Service default/web has no port 1"),
        ({"backendRef": {"name": "new"}}, {}, f'{_AT}.backendRef: a Service needs the field "port"'),
        ({"backendRef": {"kind": "Backend", "name": "new", "weight": 2}}, {}, "unknown field"),
        ({**TO_NEW, "percent": 101}, {}, f"{_AT}.percent: must be at most 100"),
        ({**TO_NEW, "percent": 1, "fraction": {"numerator": 1}}, {}, f"{_AT}.fraction: percent says it already"),
        ({**TO_NEW, "fraction": {"numerator": 101}}, {}, f"{_AT}.fraction.numerator: is more than the denominator"),
        ({**TO_NEW, "fraction": {"numerator": 1, "denominator": 0}}, {}, f"{_AT}.fraction.denominator: must be at"),
        ({**TO_NEW, "fraction": {"numerator": 1, "denominator": 2_000_000}}, {}, "is less than a millionth"),
        (
            TO_NEW,
            {"matches": [{"method": "ANNOUNCE"}]},
            "rules[0].matches[0].method: what a client records cannot be mirrored",
        ),
        (TO_NEW, {"backendRefs": [], "filters": [_REDIRECT]}, "rules[0].filters: a rule that redirects has no session"),
    ],
)
def test_what_cannot_be_mirrored_is_refused_with_its_field(
    mirror: dict[str, Any], rule: dict[str, Any], expected: str
) -> None:
    with pytest.raises(DocumentErrors) as caught:
        compile_documents(load_documents([("0.yaml", _document(mirror, **rule))]), source="files")
    (problem,) = map(str, caught.value.problems)
    assert expected in problem
