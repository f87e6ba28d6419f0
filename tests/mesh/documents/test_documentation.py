"""What is written about documents is true, and every field says what it is."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from mesh.documents import compile_documents, load_documents
from mesh.documents.base import DocumentModel
from mesh.documents.loaded import KINDS
from mesh.gateways import Algorithm
from mesh.model import HeaderModifier, Mesh, ObjectName, Retry, RoutedMethod, merge
from mesh.session_policy import MAX_SESSIONS, TCP_IDLE_SECONDS, UDP_IDLE_SECONDS

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "documents.md"


def _models(model: type[DocumentModel]) -> list[type[DocumentModel]]:
    return [found for inner in model.__subclasses__() for found in (inner, *_models(inner))]


def _examples() -> list[Mesh]:
    texts = re.findall(r"```yaml\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    return [merge([compile_documents(load_documents([("documents.md", text)]), source="files")]) for text in texts]


def test_the_example_of_gateways_is_a_mesh() -> None:
    _, _, _, mesh = _examples()
    assert {(each.listener.name, each.route.kind) for each in mesh.attachments} == {
        ("game", "UDPRoute"),
        ("lobby", "TCPRoute"),
    }
    assert {each.policy.max_sessions for each in mesh.attachments} == {2000, MAX_SESSIONS}


def test_the_defaults_of_policies_are_those_that_are_documented() -> None:
    text = DOCUMENTATION.read_text()
    assert f"| UDP `{UDP_IDLE_SECONDS:g}s`, TCP `{TCP_IDLE_SECONDS / 3600:g}h` |" in text
    assert f"| `limits.maxSessions` | `{MAX_SESSIONS}` |" in text


def test_the_example_of_policies_for_rtsp_is_a_mesh() -> None:
    _, _, mesh, _ = _examples()
    (policy,) = mesh.backend_policies.values()
    assert policy.algorithm is Algorithm.MAGLEV


def test_the_example_of_conditions_and_actions_is_a_mesh() -> None:
    _, mesh, _, _ = _examples()
    recorders, moved = mesh.routes[ObjectName("default", "site")].rules
    (match,) = recorders.matches
    assert match.method is RoutedMethod.DESCRIBE
    assert [condition.name for condition in (*match.headers, *match.query_params)] == ["User-Agent", "quality"]
    assert (recorders.timeout, recorders.try_timeout, recorders.retry) == (8.0, 3.0, Retry(attempts=2, codes=(503,)))
    assert recorders.request_headers == HeaderModifier(set=(("X-Site", "north"),), remove=("X-Debug",))
    assert recorders.response_headers == HeaderModifier(add=(("X-Via", "mesh"),), remove=("Server",))
    assert moved.redirect is not None
    assert (moved.redirect.hostname, moved.redirect.status, moved.backends) == ("cameras.example.com", 301, ())


def test_the_example_is_a_mesh() -> None:
    mesh, _, _, _ = _examples()
    assert set(mesh.routes) == {ObjectName("default", "building")}
    assert set(mesh.backends) == {ObjectName("default", "lobby"), ObjectName("default", "doors:554")}
    assert all(backend.endpoints for backend in mesh.backends.values())


def test_every_kind_is_in_the_documentation() -> None:
    text = DOCUMENTATION.read_text()
    for kind in KINDS:
        assert f"| `{kind.__name__}` | `{kind.model_fields['api_version'].default}` |" in text


@pytest.mark.parametrize("model", _models(DocumentModel))
def test_every_field_has_a_description(model: type[BaseModel]) -> None:
    assert model.__doc__
    assert [name for name, field in model.model_fields.items() if not field.description] == []
    assert model.model_config["frozen"] is True
    assert model.model_config["extra"] == "forbid"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_json_schema_in_kubernetes_spelling(kind: type[BaseModel]) -> None:
    schema = kind.model_json_schema(by_alias=True)
    assert {"apiVersion", "kind", "metadata"} <= set(schema["properties"])
    assert "_" not in "".join(schema["properties"])
