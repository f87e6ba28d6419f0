"""TLS contexts from identities: what they show, whom they let in, and that keys go nowhere."""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.identity import Identity, IdentityError
from rtsp_filter.identity import IdentityContexts, client_context, server_context
from rtsp_filter.identity.contexts import unproven_context
from rtsp_filter.identity.peer import shown_chain
from tests.peers.certificates import make_certificate
from tests.peers.identities import HandSource, TrustDomain

DOMAIN = TrustDomain()
PROXY = DOMAIN.issue(DOMAIN.id_of("rtsp-proxy"), intermediates=2)
PLAYER = DOMAIN.issue(DOMAIN.id_of("player"), intermediates=1)
BOTH_VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
END = "-----END CERTIFICATE-----\n"
# Turns of each side in a handshake.
TURNS = 4


def meet(
    server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends (server, client) after a handshake; raises what either makes of it."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_end = client.wrap_bio(to_client, to_server, session=session)
    server_end = server.wrap_bio(to_server, to_client, server_side=True)
    for end in (client_end, server_end) * TURNS:
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return server_end, client_end


def certificates(identity: Identity) -> tuple[bytes, ...]:
    return tuple(ssl.PEM_cert_to_DER_cert(text + END) for text in identity.certificates.split(END)[:-1])


@BOTH_VERSIONS
def test_both_ends_see_every_certificate_that_the_other_has_sent(version: ssl.TLSVersion) -> None:
    client = client_context(PLAYER)
    client.maximum_version = client.minimum_version = version
    server_end, client_end = meet(server_context(PROXY), client)
    assert shown_chain(server_end) == certificates(PLAYER)
    assert shown_chain(client_end) == certificates(PROXY)
    assert len(shown_chain(client_end)) == 3


@BOTH_VERSIONS
def test_a_client_may_have_no_certificate(version: ssl.TLSVersion) -> None:
    client = unproven_context()
    client.maximum_version = client.minimum_version = version
    server_end, _ = meet(server_context(PROXY), client)
    assert shown_chain(server_end) == ()


@BOTH_VERSIONS
def test_a_client_whose_certificate_nobody_here_has_signed_is_refused(version: ssl.TLSVersion) -> None:
    stranger = client_context(TrustDomain().issue(DOMAIN.id_of("player")))
    stranger.maximum_version = stranger.minimum_version = version
    with pytest.raises(ssl.SSLCertVerificationError):
        meet(server_context(PROXY), stranger)


def test_an_authority_need_not_be_self_signed() -> None:
    below = DOMAIN.issue(DOMAIN.id_of("player"), intermediates=1)
    leaf, intermediate = (text + END for text in below.certificates.split(END)[:-1])
    server = server_context(replace(PROXY, authorities={DOMAIN.name: intermediate}))
    server_end, _ = meet(server, client_context(replace(below, certificates=leaf)))
    assert len(shown_chain(server_end)) == 1


@BOTH_VERSIONS
def test_a_client_that_comes_again_is_seen_with_all_its_certificates(version: ssl.TLSVersion) -> None:
    client = client_context(PLAYER)
    client.maximum_version = client.minimum_version = version
    server = server_context(PROXY)
    _, first = meet(server, client)
    again, _ = meet(server, client, first.session)
    assert shown_chain(again) == certificates(PLAYER)


def test_versions_before_1_2_are_not_spoken() -> None:
    assert client_context(PLAYER).minimum_version is ssl.TLSVersion.TLSv1_2
    assert server_context(PROXY).minimum_version is ssl.TLSVersion.TLSv1_2


def test_no_file_has_the_key_nor_has_the_process_kept_it_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    before = set(Path("/proc/self/fd").iterdir())
    server_context(PROXY)
    assert not list(tmp_path.iterdir())
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_an_unusable_svid_is_said_to_be_one_without_its_key(tmp_path: Path) -> None:
    other = make_certificate(tmp_path, "other").key.read_text()
    for broken in (replace(PROXY, key=other), replace(PROXY, key="")):
        with pytest.raises(IdentityError, match=f"the SVID of {PROXY.spiffe_id} cannot be used") as error:
            client_context(broken)
        assert "PRIVATE" not in str(error.value)
    with pytest.raises(IdentityError, match="authorities that came with"):
        server_context(replace(PROXY, authorities={DOMAIN.name: ""}))


def test_contexts_are_made_once_for_an_identity_and_anew_for_the_next() -> None:
    source = HandSource(PROXY)
    contexts = IdentityContexts(source)
    assert contexts.client() == contexts.client()
    assert contexts.server() == contexts.server()
    identity, context = contexts.server()
    assert identity is PROXY
    source.rotate(PLAYER)
    assert contexts.server()[0] is PLAYER
    assert contexts.server()[1] is not context
    source.rotate(None)
    with pytest.raises(IdentityError):
        contexts.server()
