"""A health check by DESCRIBE, as policies say it."""

from __future__ import annotations

import pytest

from mesh.documents import DocumentErrors, compile_documents, load_documents
from mesh.gateways import Described, HealthCheck
from mesh.model import ObjectName, merge

API = "apiVersion: mediastreamingmesh.io/v1alpha1\n"
BACKEND = f"{API}kind: Backend\nmetadata: {{name: lobby}}\nspec: {{endpoints: [{{name: a, address: 192.0.2.1}}]}}\n"


def _check(said: str) -> HealthCheck:
    policy = (
        f"{API}kind: MediaPolicy\nmetadata: {{name: lobby}}\n"
        f"spec: {{targetRefs: [{{kind: Backend, name: lobby}}], healthCheck: {{{said}}}}}\n"
    )
    documents = load_documents([("mesh.yaml", f"{BACKEND}---\n{policy}")])
    mesh = merge([compile_documents(documents, source="files")])
    check = mesh.backend_policies[ObjectName("default", "lobby")].health_check
    assert check is not None
    return check


def test_it_names_a_path_and_codecs_or_neither() -> None:
    assert _check("type: RTSP").describe is None
    assert _check("type: RTSP, describe: {}").describe == Described(path="/", codecs=())
    found = _check("type: RTSP, describe: {path: /low, codecs: [video/H264, audio/MPEG4-GENERIC]}")
    assert found.describe == Described(path="/low", codecs=("video/H264", "audio/MPEG4-GENERIC"))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("type: TCP, describe: {}", "spec.healthCheck.describe: goes with type RTSP"),
        (
            "type: RTSP, describe: {codecs: [H264]}",
            'codecs[0]: "H264" must be a medium and a codec, such as "video',
        ),
        ("type: RTSP, describe: {codecs: [movie/H264]}", '"movie/H264" must be a medium and a codec'),
        ("type: RTSP, describe: {path: low}", 'spec.healthCheck.describe.path: "low" must begin with "/"'),
        ("type: RTSP, describe: {codec: []}", 'did you mean "codecs"?'),
        ("type: RTSP, path: /low", "spec.healthCheck.path: goes with type HTTP"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_field(said: str, expected: str) -> None:
    with pytest.raises(DocumentErrors) as caught:
        _check(said)
    (problem,) = map(str, caught.value.problems)
    assert expected in problem
