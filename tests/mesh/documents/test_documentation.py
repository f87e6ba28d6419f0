"""What is written about documents is true, and every field says what it is."""

import re
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from mesh.documents import compile_documents, load_documents
from mesh.documents.base import DocumentModel
from mesh.documents.loaded import KINDS
from mesh.documents.media_policy import CanaryLoss, CanarySetups, CanarySpec, HealthProbe
from mesh.gateways import Algorithm
from mesh.model import BackendTransport, HeaderModifier, Mesh, Mirror, ObjectName, Retry, RoutedMethod, merge
from mesh.session_policy import MAX_SESSIONS, TCP_IDLE_SECONDS, UDP_IDLE_SECONDS
from mesh.users import user_of

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "documents.md"


def _models(model: type[DocumentModel]) -> list[type[DocumentModel]]:
    return [found for inner in model.__subclasses__() for found in (inner, *_models(inner))]


def _example(heading: str) -> Mesh:
    """The mesh of the first example below a heading."""
    _, _, text = DOCUMENTATION.read_text().partition(f"# {heading}\n")
    found = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return merge([compile_documents(load_documents([("documents.md", found[1])]), source="files")])


def test_the_example_of_gateways_is_a_mesh() -> None:
    mesh = _example("Gateways: UDP and TCP as they are")
    assert {(each.listener.name, each.route.kind) for each in mesh.attachments} == {
        ("game", "UDPRoute"),
        ("lobby", "TCPRoute"),
    }
    assert {each.policy.max_sessions for each in mesh.attachments} == {2000, MAX_SESSIONS}


def test_the_example_of_the_way_to_cameras_is_a_mesh() -> None:
    (backend,) = _example("Cameras with a password, behind TLS, or behind HTTP").backends.values()
    assert [endpoint.transport for endpoint in backend.endpoints] == [BackendTransport.AUTO, BackendTransport.HTTP]
    assert [credentials.username for credentials in backend.credentials] == ["viewer"]
    assert backend.tls is not None
    assert backend.tls.hostname == "gate.cameras.example.com"


def test_the_defaults_of_policies_are_those_that_are_documented() -> None:
    text = DOCUMENTATION.read_text()
    assert f"| UDP `{UDP_IDLE_SECONDS:g}s`, TCP `{TCP_IDLE_SECONDS / 3600:g}h` |" in text
    assert f"| `limits.maxSessions` | `{MAX_SESSIONS}` |" in text


def test_the_example_of_policies_for_rtsp_is_a_mesh() -> None:
    mesh = _example("Balancing, limits and health of RTSP")
    (policy,) = mesh.backend_policies.values()
    assert policy.algorithm is Algorithm.MAGLEV


def test_the_example_of_a_canary_is_a_mesh() -> None:
    mesh = _example("A canary that follows what is measured")
    (canary,) = mesh.canaries.values()
    assert (str(canary.backend), canary.steps, canary.interval) == ("default/lobby-new", (5, 25, 50, 100), 600.0)


def test_the_defaults_of_canaries_are_those_that_are_documented() -> None:
    text = DOCUMENTATION.read_text()
    for prefix, model in (("", CanarySpec), ("setups.", CanarySetups), ("loss.", CanaryLoss)):
        for name, field in model.model_fields.items():
            if isinstance(field.default, int | float | str | tuple):
                shown = list(field.default) if isinstance(field.default, tuple) else field.default
                shown = f"{shown:g}" if isinstance(shown, float) else shown
                assert f"| `{prefix}{to_camel(name)}` | `{shown}` |" in text


def test_the_example_of_conditions_and_actions_is_a_mesh() -> None:
    mesh = _example("Conditions, redirects, headers, retries")
    recorders, moved = mesh.routes[ObjectName("default", "site")].rules
    (match,) = recorders.matches
    assert match.method is RoutedMethod.DESCRIBE
    assert [condition.name for condition in (*match.headers, *match.query_params)] == ["User-Agent", "quality"]
    assert (recorders.timeout, recorders.try_timeout, recorders.retry) == (8.0, 3.0, Retry(attempts=2, codes=(503,)))
    assert recorders.request_headers == HeaderModifier(set=(("X-Site", "north"),), remove=("X-Debug",))
    assert recorders.response_headers == HeaderModifier(add=(("X-Via", "mesh"),), remove=("Server",))
    assert moved.redirect is not None
    assert (moved.redirect.hostname, moved.redirect.status, moved.backends) == ("cameras.example.com", 301, ())


def test_the_example_of_mirrors_is_a_mesh() -> None:
    (rule,) = _example("Mirrors").routes[ObjectName("default", "gate")].rules
    assert rule.mirrors == (Mirror(backend=ObjectName("default", "gate-new"), part=Fraction(1, 10)),)


def test_the_example_of_a_check_by_describe_is_one() -> None:
    text = DOCUMENTATION.read_text().partition("With `describe`\n")[2]
    (probe,) = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0]).values()
    describe = HealthProbe.model_validate(probe).describe
    assert describe is not None
    assert (describe.path, describe.codecs) == ("/stream1", ("video/H264", "audio/MPEG4-GENERIC"))


def test_the_example_of_passwords_is_a_mesh() -> None:
    mesh = _example("Passwords of players and publishers")
    watch, publish = mesh.routes[ObjectName("default", "studio")].rules
    assert (watch.users, publish.users) == (ObjectName("default", "viewers"), ObjectName("default", "crew"))
    viewers, crew = mesh.users[ObjectName("default", "viewers")], mesh.users[ObjectName("default", "crew")]
    assert [user.name for user in viewers.users] == ["ann", "bob"]
    assert viewers.users[1].md5 == user_of("bob", viewers.realm, "builder").md5
    assert (viewers.have_sha256, crew.have_sha256) == (False, True)


def test_the_example_is_a_mesh() -> None:
    mesh = _example("A complete example")
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
