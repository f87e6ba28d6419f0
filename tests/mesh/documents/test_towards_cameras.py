"""What documents say of the way to cameras: passwords that are in Secrets, and TLS that is verified."""

import textwrap
from pathlib import Path

import pytest

from mesh.documents import DocumentErrors, compile_documents, load_documents
from mesh.model import BackendTLS, BackendTransport, Credentials, Mesh, ObjectName, merge
from tests.peers.certificates import make_certificate

LOBBY = ObjectName("default", "lobby")
OURS = "apiVersion: mediastreamingmesh.io/v1alpha1\n"
API = "apiVersion: gateway.networking.k8s.io/v1\n"
REF = "credentialsRef: {name: camera}"
WORD = "s3cret"
VALUES = f"stringData: {{username: ann, password: {WORD}}}"
SYSTEM = "hostname: cam.example, wellKnownCACertificates: System"
GIVEN = "hostname: cam.example, caCertificateRefs: [{kind: ConfigMap, name: authorities}]"
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: doors}
spec: {ports: [{name: rtsps, port: 322}, {name: other, port: 323}, {name: dns, port: 53, protocol: UDP}]}
"""


def backend(*endpoints: str, name: str = "lobby") -> str:
    items = "".join(
        f"    - {{name: e{index}, address: 192.0.2.1, port: 1, {more}}}\n" for index, more in enumerate(endpoints)
    )
    return f"{OURS}kind: Backend\nmetadata: {{name: {name}}}\nspec:\n  endpoints:\n{items}"


def secret(values: str = VALUES, *, kind: str = "kubernetes.io/basic-auth", name: str = "camera") -> str:
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: {kind}\n{values}\n"


def tls(validation: str = SYSTEM, *, target: str = "{kind: Backend, name: lobby}", name: str = "tls") -> str:
    spec = f"{{targetRefs: [{target}], validation: {{{validation}}}}}"
    return f"{API}kind: BackendTLSPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def config_map(text: str, *, key: str = "ca.crt") -> str:
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: authorities}\n"
    return f"{head}data:\n  {key}: |\n{textwrap.indent(text, '    ')}\n"


def mesh(*documents: str) -> Mesh:
    return merge([compile_documents(load_documents([("mesh.yaml", "---\n".join(documents))]), source="files")])


def problem(*documents: str) -> str:
    with pytest.raises(DocumentErrors) as caught:
        mesh(*documents)
    assert WORD not in str(caught.value)
    return str(caught.value)


def test_endpoints_name_credentials_and_those_that_share_a_secret_share_them() -> None:
    other = secret("data: {username: Ym9i, password: czNjcmV0}", name="other")
    found = mesh(backend(REF, REF, "credentialsRef: {name: other}", ""), secret(), other).backends[LOBBY]
    first, second = "default/lobby/camera", "default/lobby/other"
    assert [endpoint.credentials for endpoint in found.endpoints] == [first, first, second, ""]
    assert found.credentials == (
        Credentials(name=first, username="ann", password=WORD),
        Credentials(name=second, username="bob", password=WORD),
    )
    assert WORD not in repr(found)


def test_string_data_wins_over_data_and_base64_may_be_broken_into_lines() -> None:
    values = 'stringData: {username: ann}\ndata: {username: Ym9i, password: "czNj\\n  cmV0\\n"}'
    (credentials,) = mesh(backend(REF), secret(values)).backends[LOBBY].credentials
    assert (credentials.username, credentials.password) == ("ann", WORD)


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ((backend(REF),), "spec.endpoints[0].credentialsRef.name: there is no Secret default/camera"),
        ((backend(REF), secret(name="camara")), 'there is no Secret default/camera (did you mean "default/camara"?)'),
        (
            (backend(REF), secret(kind="Opaque")),
            'Secret default/camera is of type "Opaque", not kubernetes.io/basic-auth',
        ),
        ((secret("stringData: {username: ann}"),), 'needs the key "password"'),
        ((secret(f"stringData: {{username: 'a:b', password: {WORD}}}"),), 'stringData.username: holds a ":"'),
        ((secret(f'stringData: {{username: a, password: "{WORD}\\n"}}'),), "stringData.password: has a line end"),
        ((secret("data: {username: YQ==, password: s3cret}"),), "data.password: is not base64"),
        ((secret("data: {username: YQ==, password: /w==}"),), "data.password: is not text in UTF-8"),
        ((secret(f"stringData: {WORD}"),), "stringData: must be a mapping"),
        ((secret(f"stringData: {{username: a, password: [{WORD}]}}"),), "stringData.password: must be text"),
        ((secret(f"stringdata: {{password: {WORD}}}"),), 'unknown field (did you mean "stringData"?)'),
        ((backend("credentialsRef: {name: camera, namespace: other}"), secret()), "namespace: unknown field"),
    ],
)
def test_a_secret_that_cannot_be_told_is_refused_without_its_values(documents: tuple[str, ...], expected: str) -> None:
    assert expected in problem(*documents)


def test_a_backend_is_spoken_to_by_tls_as_its_policy_says(tmp_path: Path) -> None:
    pem = make_certificate(tmp_path, "ca").chain.read_text()
    documents = (backend(""), tls(GIVEN), config_map(f"# Größe\n{pem}{pem}"))
    assert mesh(*documents).backends[LOBBY].tls == BackendTLS(hostname="cam.example", authorities=pem + pem)
    assert mesh(backend(""), tls()).backends[LOBBY].tls == BackendTLS(hostname="cam.example")
    assert mesh(backend("")).backends[LOBBY].tls is None


def test_a_policy_for_a_service_is_for_its_tcp_ports_or_the_one_that_it_names() -> None:
    every = mesh(SERVICE, tls(target="{kind: Service, name: doors}")).backends
    assert {name.name for name, found in every.items() if found.tls is not None} == {"doors:322", "doors:323"}
    one = mesh(SERVICE, tls(target="{group: '', kind: Service, name: doors, sectionName: rtsps}")).backends
    assert {name.name for name, found in one.items() if found.tls is not None} == {"doors:322"}


def test_an_endpoint_may_be_behind_http() -> None:
    (endpoint,) = mesh(backend("transport: http"), tls()).backends[LOBBY].endpoints
    assert endpoint.transport is BackendTransport.HTTP


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ((tls(),), "spec.targetRefs[0].name: there is no Backend default/lobby"),
        ((tls(target="{kind: Service, name: doors}"),), "there is no Service default/doors"),
        (
            (SERVICE, tls(target="{kind: Service, name: doors, sectionName: x}")),
            'spec.targetRefs[0].sectionName: Service default/doors has no port of the name "x"',
        ),
        (
            (backend(""), tls(target="{kind: Backend, name: lobby, sectionName: x}")),
            "leave this field out for a Backend",
        ),
        (
            (backend(""), tls(target="{group: '', kind: Backend, name: lobby}")),
            "targetRefs[0].group: the group of Backend",
        ),
        ((backend(""), tls("hostname: cam.example")), 'either "caCertificateRefs" or "wellKnownCACertificates"'),
        ((backend(""), tls(f"{GIVEN}, wellKnownCACertificates: System"), config_map("x")), "say either"),
        ((backend(""), tls("wellKnownCACertificates: System")), "hostname: this field is required"),
        (
            (backend(""), tls("hostname: 'a b', wellKnownCACertificates: System")),
            "neither an IP address nor a host name",
        ),
        ((backend(""), tls(f"{SYSTEM}, subjectAltNames: []")), '"subjectAltNames" is not supported yet'),
        ((backend(""), tls(GIVEN)), "caCertificateRefs[0].name: there is no ConfigMap default/authorities"),
        ((backend(""), tls(GIVEN), config_map("x", key="ca")), 'has no key "ca.crt"'),
        ((backend(""), tls(GIVEN), config_map("x")), "holds no certificates in PEM"),
        ((backend(""), tls(GIVEN), config_map("-----BEGIN CERTIFICATE-----\nMA==\n")), "holds no certificates in PEM"),
        (
            (backend(""), tls(GIVEN), config_map("-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----")),
            "holds something in PEM that is no certificate",
        ),
        (
            (
                backend(""),
                tls(GIVEN),
                config_map(
                    "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n"
                ),
            ),
            "holds a certificate that is not whole",
        ),
        ((backend(""), tls(), tls(name="two")), "BackendTLSPolicy default/tls is for default/lobby already"),
        (
            (backend("transport: udp"), tls()),
            'endpoint "e0" of default/lobby has transport: udp, which would go beside TLS',
        ),
        (
            (
                backend(""),
                tls(),
                f"{API}kind: Gateway\nmetadata: {{name: edge}}\nspec: {{gatewayClassName: media-streaming-mesh, "
                "listeners: [{name: a, protocol: TCP, port: 7777}]}\n",
                f"{API}kind: TCPRoute\nmetadata: {{name: chat}}\nspec: {{parentRefs: [{{name: edge}}], "
                "rules: [{backendRefs: [{kind: Backend, name: lobby}]}]}\n",
            ),
            "TCPRoute default/chat sends sessions to default/lobby, and gateways pass them on as they are",
        ),
    ],
)
def test_tls_that_cannot_be_had_is_refused_with_its_field(documents: tuple[str, ...], expected: str) -> None:
    assert expected in problem(*documents)
