"""AuthenticationFilters and the Secrets behind them: what they become, and what is refused without telling anybody."""

from __future__ import annotations

import base64

import pytest

from mesh.documents import DocumentErrors, compile_documents, load_documents
from mesh.model import Mesh, MeshError, ObjectName, RoutedMethod, Slice, merge
from mesh.users import user_of

HASH = "0123456789abcdef0123456789abcdef"
BACKEND = """\
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {name: lobby}
spec: {endpoints: [{name: one, address: 192.0.2.1}]}
"""
ROUTE = """\
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {name: lobby}
spec:
  rules:
    - name: watch
      filters:
        - type: ExtensionRef
          extensionRef: {group: mediastreamingmesh.io, kind: AuthenticationFilter, name: guards}
      backendRefs: [{kind: Backend, name: lobby}]
"""
FILTER = """\
apiVersion: mediastreamingmesh.io/v1alpha1
kind: AuthenticationFilter
metadata: {name: guards}
spec:
  realm: cameras
  users: [{secretRef: {name: ann}}, {secretRef: {name: guards}}]
"""
ANN = """\
apiVersion: v1
kind: Secret
metadata: {name: ann}
type: kubernetes.io/basic-auth
stringData: {username: ann, password: wonderland}
"""
GUARDS = f"""\
apiVersion: v1
kind: Secret
metadata: {{name: guards}}
stringData:
  .htdigest: |
    bob:cameras:{HASH}
"""
NAME = ObjectName("default", "guards")


def compiled(*documents: str) -> Slice:
    return compile_documents(load_documents([("mesh.yaml", "---\n".join(documents))]), source="files")


def problems(*documents: str) -> list[str]:
    with pytest.raises(DocumentErrors) as caught:
        compiled(*documents)
    return [str(problem) for problem in caught.value.problems]


def test_users_of_a_rule_come_from_all_secrets_with_their_passwords_hashed() -> None:
    part = compiled(ROUTE, FILTER, ANN, GUARDS, BACKEND)
    users = part.users[NAME]
    assert part.routes[ObjectName("default", "lobby")].rules[0].users == NAME
    assert users.realm == "cameras"
    assert [(user.name, user.md5) for user in users.users] == [
        ("ann", user_of("ann", "cameras", "wonderland").md5),
        ("bob", HASH),
    ]


def test_a_secret_in_base64_is_the_same() -> None:
    data = {key: base64.b64encode(value).decode() for key, value in (("username", b"ann"), ("password", b"wonderland"))}
    encoded = ANN.partition("stringData")[0] + f"data: {data}\n"
    assert compiled(ROUTE, FILTER, encoded, GUARDS, BACKEND) == compiled(ROUTE, FILTER, ANN, GUARDS, BACKEND)


def test_who_plays_and_who_publishes_are_told_apart_by_rules() -> None:
    matches = "      matches: [{path: {value: /lobby}, method: ANNOUNCE}]\n      filters:"
    publish = ROUTE.replace("name: lobby}", "name: studio}", 1).replace("name: watch", "name: publish")
    publish = publish.replace("      filters:", matches).replace("name: guards", "name: crew")
    crew = FILTER.replace("name: guards}\nspec", "name: crew}\nspec").replace(", {secretRef: {name: guards}}", "")
    part = compiled(ROUTE, publish, FILTER, crew, ANN, GUARDS, BACKEND)
    rule = part.routes[ObjectName("default", "studio")].rules[0]
    assert (rule.matches[0].method, rule.users) == (RoutedMethod.ANNOUNCE, ObjectName("default", "crew"))


def test_references_to_nothing_are_named() -> None:
    assert problems(ROUTE, BACKEND) == [
        "mesh.yaml:9: RTSPRoute default/lobby: spec.rules[0].filters[0].extensionRef.name: "
        "there is no AuthenticationFilter default/guards"
    ]
    assert [problem.partition("secretRef.name: ")[2] for problem in problems(FILTER)] == [
        "there is no Secret default/ann",
        "there is no Secret default/guards",
    ]
    assert problems(FILTER, GUARDS) == [
        "mesh.yaml:6: AuthenticationFilter default/guards: spec.users[0].secretRef.name: there is no Secret default/ann"
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            f"bob:cameras:{HASH}",
            f"bob:other:{HASH}",
            "Secret default/guards: stringData..htdigest: line 1 is for another",
        ),
        (f"bob:cameras:{HASH}", "bob:hunter2", "Secret default/guards: stringData..htdigest: line 1 is not user:realm"),
        (f"bob:cameras:{HASH}", f"ann:cameras:{HASH}", "default/guards: spec.users: a user is there twice"),
        (".htdigest", ".htpasswd", "spec.users[1].secretRef.name: Secret default/guards has neither"),
        ("password: wonderland", 'password: ""', "Secret default/ann: stringData.username: a password is not empty"),
        ("username: ann", 'username: "#ann"', "Secret default/ann: stringData.username: a user name is printable"),
        ("realm: cameras", "realm: 'a\"b'", "spec.realm"),
        ("kind: AuthenticationFilter, name", "kind: Backend, name", "filters[0].extensionRef.kind: must be"),
        ("name: ann}}, {", "name: ann, namespace: other}}, {", "users[0].secretRef.namespace: unknown field"),
    ],
)
def test_what_cannot_be_checked_is_refused_without_telling_it(old: str, new: str, said: str) -> None:
    documents = [text.replace(old, new) for text in (ROUTE, FILTER, ANN, GUARDS)]
    found = "\n".join(problems(*documents, BACKEND))
    assert said in found
    assert not any(secret in found for secret in ("wonderland", HASH, "hunter2"))


def test_an_extension_ref_goes_with_its_type() -> None:
    assert "needs the field" in problems(ROUTE.replace("extensionRef: {", "#"), FILTER, ANN, GUARDS, BACKEND)[0]


def test_a_rule_without_its_users_is_no_mesh_and_two_sources_cannot_have_the_same() -> None:
    part = compiled(ROUTE, FILTER, ANN, GUARDS, BACKEND)
    with pytest.raises(MeshError, match="no AuthenticationFilter default/guards"):
        merge([Slice(source="files", routes=part.routes, backends=part.backends)])
    with pytest.raises(MeshError, match="defined by both"):
        merge([part, Slice(source="other", users=part.users)])
    assert merge([part]).users == part.users


def test_nothing_that_is_printed_of_a_mesh_has_a_user_in_it() -> None:
    part = compiled(ROUTE, FILTER, ANN, GUARDS, BACKEND)
    loaded = load_documents([("mesh.yaml", "---\n".join((ROUTE, FILTER, ANN, GUARDS, BACKEND)))])
    shown = f"{part!r}{merge([part])!r}{Mesh(users=part.users)!r}{[item.document for item in loaded.loaded]!r}"
    assert not any(secret in shown for secret in ("wonderland", HASH, "bob", user_of("ann", "cameras", "x").name + ":"))
