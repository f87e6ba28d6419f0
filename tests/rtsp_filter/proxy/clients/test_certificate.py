"""The certificate of RTSPS: what is wrong with files is said with their names, and changes are taken when they rest."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from structlog.testing import capture_logs

from rtsp_filter.proxy.clients.certificate import CertificateError, CertificateFiles, fingerprint, server_context
from tests.peers.certificates import Certificate, make_certificate


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path, "first")


def shown(files: CertificateFiles) -> str:
    """The name of the certificate that a client is shown now."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.load_verify_locations(files._certificate)
    client = client_context.wrap_bio(incoming, outgoing)
    server = files.context.wrap_bio(outgoing, incoming, server_side=True)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    ((_, name),) = client.getpeercert()["subjectAltName"]
    return name


def replace(certificate: Certificate, other: Certificate) -> None:
    certificate.chain.write_bytes(other.chain.read_bytes())
    certificate.key.write_bytes(other.key.read_bytes())


def test_certificate_and_key_may_be_in_one_file(certificate: Certificate, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.chain.read_bytes() + certificate.key.read_bytes())
    assert shown(CertificateFiles(both, None)) == "first"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_fingerprint_is_that_of_the_servers_own_certificate(
    certificate: Certificate, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    both = tmp_path / "both.pem"
    other = make_certificate(tmp_path, "other").chain.read_text()
    own = certificate.chain.read_text()
    both.write_text(certificate.key.read_text() + own + other)
    context = server_context(both, None)
    context.maximum_version = version
    assert fingerprint(context) == hashlib.sha256(ssl.PEM_cert_to_DER_cert(own)).digest()
    assert CertificateFiles(both, None).fingerprint == fingerprint(context)


def test_old_versions_of_tls_are_not_spoken(certificate: Certificate) -> None:
    assert server_context(certificate.chain, certificate.key).minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_file_that_is_missing_is_named(certificate: Certificate, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.pem"
    for files in ((missing, certificate.key), (certificate.chain, missing)):
        with pytest.raises(CertificateError, match=r"nowhere\.pem: No such file or directory"):
            CertificateFiles(*files)


def test_a_key_of_another_certificate_is_named(certificate: Certificate, tmp_path: Path) -> None:
    other = make_certificate(tmp_path, "other")
    with pytest.raises(CertificateError, match=r"other\.key: this is not the private key of .*first\.pem"):
        CertificateFiles(certificate.chain, other.key)


@pytest.mark.parametrize("text", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_files_that_are_no_certificate_are_named(certificate: Certificate, text: bytes) -> None:
    certificate.chain.write_bytes(text)
    with pytest.raises(CertificateError, match=r"first\.pem.*not a certificate with its private key in PEM"):
        CertificateFiles(certificate.chain, certificate.key)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(certificate: Certificate) -> None:
    key = serialization.load_pem_private_key(certificate.key.read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    certificate.key.write_bytes(locked)
    with pytest.raises(CertificateError, match=r"first\.key: the private key is encrypted"):
        CertificateFiles(certificate.chain, certificate.key)


def test_new_files_are_taken_once_they_rest_and_logged(certificate: Certificate, tmp_path: Path) -> None:
    files = CertificateFiles(certificate.chain, certificate.key)
    before = files.context
    files.look()
    assert files.context is before
    replace(certificate, make_certificate(tmp_path, "second"))
    with capture_logs() as logs:
        files.look()
        assert files.context is before
        files.look()
    assert shown(files) == "second"
    assert [line["event"] for line in logs] == ["new RTSPS certificate"]
    after = files.context
    files.look()
    assert files.context is after


def test_half_a_renewal_is_not_complained_about(certificate: Certificate, tmp_path: Path) -> None:
    files = CertificateFiles(certificate.chain, certificate.key)
    second = make_certificate(tmp_path, "second")
    with capture_logs() as logs:
        certificate.chain.write_bytes(second.chain.read_bytes())
        files.look()
        certificate.key.write_bytes(second.key.read_bytes())
        files.look()
        files.look()
    assert shown(files) == "second"
    assert [line["log_level"] for line in logs] == ["info"]


@pytest.mark.parametrize("how", ["nonsense", "missing", "another's key"])
def test_files_that_cannot_be_used_leave_the_certificate_before_and_are_said_once(
    certificate: Certificate, tmp_path: Path, how: str
) -> None:
    files = CertificateFiles(certificate.chain, certificate.key)
    good = certificate.chain.read_bytes()
    before = files.context
    if how == "nonsense":
        certificate.chain.write_bytes(b"nonsense")
    elif how == "missing":
        certificate.chain.unlink()
    else:
        certificate.key.write_bytes(make_certificate(tmp_path, "other").key.read_bytes())
    with capture_logs() as logs:
        for _ in range(4):
            files.look()
    assert files.context is before
    (line,) = logs
    assert line["log_level"] == "error"
    assert str(certificate.chain) in line["error"]
    replace(certificate, make_certificate(tmp_path, "third"))
    files.look()
    files.look()
    assert shown(files) == "third"
    assert good != certificate.chain.read_bytes()
