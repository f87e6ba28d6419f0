"""Who has proven which SPIFFE ID, and what somebody is told who has not."""

from __future__ import annotations

import re
import ssl
import time
from contextlib import suppress
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from mesh.identity import Identity, IdentityError, Purpose, verify
from mesh.identity.chains import CLOCK_SKEW
from mesh.identity.spiffe_ids import MAX_SHOWN_ID
from mesh.identity.verification import MAX_CERTIFICATE_BYTES, MAX_CHAIN
from tests.peers.identities import BACKDATED, LIFETIME, TrustDomain, chain_of

DOMAIN = TrustDomain()
OTHER = TrustDomain("other.example")
ID = DOMAIN.id_of("rtsp-proxy")
BOTH = pytest.mark.parametrize("purpose", list(Purpose))
SERVER_AUTH, CLIENT_AUTH = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


def verdict(identity: Identity, *domains: TrustDomain, purpose: Purpose = Purpose.CLIENT, later: float = 0.0) -> str:
    """What is found of who shows an identity, by one who believes some trust domains, seconds after now."""
    authorities = {each.name: each.authorities for each in domains or (DOMAIN,)}
    return verify(chain_of(identity), authorities, purpose=purpose, now=time.time() + later)


def refusal(identity: Identity, *domains: TrustDomain, purpose: Purpose = Purpose.CLIENT, later: float = 0.0) -> str:
    """What such a one is told."""
    with pytest.raises(IdentityError) as error:
        verdict(identity, *domains, purpose=purpose, later=later)
    return str(error.value)


def issue(**defects: Any) -> Identity:
    return DOMAIN.issue(ID, **defects)


def unknown(*, critical: bool) -> x509.Extension[x509.ExtensionType]:
    oid = x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")
    return x509.Extension(oid, critical, x509.UnrecognizedExtension(oid, b"\x05\x00"))


@BOTH
@pytest.mark.parametrize("intermediates", [0, 1, 2, MAX_CHAIN - 1])
def test_an_svid_proves_its_id_through_any_intermediates(purpose: Purpose, intermediates: int) -> None:
    assert verdict(issue(intermediates=intermediates), purpose=purpose) == ID


def test_an_svid_may_have_dns_names_besides_and_no_extended_key_usage() -> None:
    assert verdict(issue(dns=["example.org"])) == ID
    assert verdict(issue(purposes=())) == ID


def test_extra_certificates_and_their_order_do_no_harm() -> None:
    leaf, one, two = chain_of(issue(intermediates=2))
    strange = chain_of(OTHER.issue(OTHER.id_of("x"), intermediates=1))
    root = DOMAIN.authorities
    for chain in ((leaf, *strange, one, two), (leaf, two, one), (leaf, one, two, ssl.PEM_cert_to_DER_cert(root), leaf)):
        assert verify(chain, {DOMAIN.name: root}, purpose=Purpose.SERVER, now=time.time()) == ID


def test_a_missing_intermediate_is_said_with_what_to_send() -> None:
    leaf, _, top = chain_of(issue(intermediates=2))
    with pytest.raises(IdentityError, match=f"{ID} has not proven it: .* all intermediate certificates are sent"):
        verify((leaf, top), {DOMAIN.name: DOMAIN.authorities}, purpose=Purpose.CLIENT, now=time.time())


def test_an_authority_need_not_be_self_signed() -> None:
    below = TrustDomain(under=OTHER)
    assert verdict(below.issue(ID), below) == ID


def test_any_of_several_authorities_of_the_trust_domain_will_do() -> None:
    after = TrustDomain()
    bundle = {DOMAIN.name: DOMAIN.authorities + after.authorities}
    for signer in (DOMAIN, after):
        assert verify(chain_of(signer.issue(ID)), bundle, purpose=Purpose.CLIENT, now=time.time()) == ID


def test_a_federated_trust_domain_proves_its_own_ids_and_none_of_ours() -> None:
    assert verdict(OTHER.issue(OTHER.id_of("x")), DOMAIN, OTHER) == OTHER.id_of("x")
    assert "of the trust domain mesh.local none proves it" in refusal(OTHER.issue(ID), DOMAIN, OTHER)


def test_an_intermediate_of_another_trust_domain_is_no_authority_of_ours() -> None:
    assert "none proves it: neither they" in refusal(TrustDomain(under=OTHER).issue(ID), DOMAIN, OTHER)


def test_a_trust_domain_without_a_bundle_is_named_with_those_that_have_one() -> None:
    told = refusal(OTHER.issue(OTHER.id_of("x")))
    assert "no bundle of the trust domain other.example here (known: mesh.local): federate with it" in told
    with pytest.raises(IdentityError, match=re.escape("(known: none)")):
        verify(chain_of(issue()), {}, purpose=Purpose.CLIENT, now=time.time())


@pytest.mark.parametrize("bundle", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_bundle_that_cannot_be_read_proves_nobody(bundle: str) -> None:
    with pytest.raises(IdentityError, match=r"the bundle of the trust domain mesh\.local cannot be read"):
        verify(chain_of(issue()), {DOMAIN.name: bundle}, purpose=Purpose.CLIENT, now=time.time())


def test_an_authority_that_has_expired_proves_nobody() -> None:
    old = TrustDomain(lifetime=600)
    told = refusal(old.issue(ID), old, later=600 + CLOCK_SKEW + 2)
    assert "the authority 'CN=authority " in told
    assert "expired at" in told
    assert "newest bundle" in told


def test_an_intermediate_that_has_expired_proves_nobody() -> None:
    told = refusal(issue(intermediates=1, intermediates_lifetime=600), later=600 + CLOCK_SKEW + 2)
    assert "the intermediate certificate 'CN=authority " in told
    assert "expired at" in told


def test_clocks_may_be_a_little_off_in_both_directions() -> None:
    svid = issue()
    assert verdict(svid, later=LIFETIME + CLOCK_SKEW - 2) == ID
    assert verdict(svid, later=-BACKDATED - CLOCK_SKEW + 2) == ID


def test_an_expired_svid_is_told_to_look_at_its_workload_api() -> None:
    told = refusal(issue(), later=LIFETIME + CLOCK_SKEW + 2)
    assert f"the client that says it is {ID} has not proven it: its certificate expired at 20" in told
    assert "see that its SPIFFE Workload API still renews it" in told


def test_an_svid_of_a_clock_that_is_ahead_is_told_to_set_the_clocks() -> None:
    told = refusal(issue(starts=600.0))
    assert "is not valid before 20" in told
    assert "set the clocks of both machines" in told


@pytest.mark.parametrize(
    ("uris", "count"), [([], 0), ([ID, ID], 2), ([ID, "https://example.org"], 2), (["https://example.org", ID], 2)]
)
def test_an_svid_has_exactly_one_uri(uris: list[str], count: int) -> None:
    told = refusal(issue(without_id=True, more_uris=uris))
    assert f"has {count} URIs" in told
    assert "issue it with its SPIFFE ID alone" in told


def test_a_certificate_with_a_dns_name_alone_is_no_svid() -> None:
    assert "has 0 URIs (so no SPIFFE ID)" in refusal(issue(without_id=True, dns=["example.org"]))


@pytest.mark.parametrize(
    "uri", ["https://mesh.local/a", "spiffe://mesh.local/a/", "spiffe://MESH.local/a", "spiffe://"]
)
def test_a_uri_that_is_no_spiffe_id_proves_nothing(uri: str) -> None:
    assert f"is no SVID: {uri!r} is no SPIFFE ID: " in refusal(issue(without_id=True, more_uris=[uri]))


def test_the_id_of_a_trust_domain_itself_is_no_workloads() -> None:
    assert "workloads have IDs with a path" in refusal(DOMAIN.issue("spiffe://mesh.local"))


def test_an_authority_is_nobody_that_could_be_spoken_to() -> None:
    assert "show an SVID instead" in refusal(issue(authority=True))


@pytest.mark.parametrize(
    ("usages", "why"),
    [
        ((), "no digitalSignature"),
        (("key_encipherment",), "no digitalSignature"),
        (("digital_signature", "key_cert_sign"), "has keyCertSign or cRLSign"),
        (("digital_signature", "crl_sign"), "has keyCertSign or cRLSign"),
    ],
)
def test_the_key_of_an_svid_is_for_signatures_of_its_own(usages: tuple[str, ...], why: str) -> None:
    assert why in refusal(issue(usages=usages))


def test_an_svid_is_shown_on_the_side_that_it_is_for() -> None:
    assert verdict(issue(purposes=[CLIENT_AUTH]), purpose=Purpose.CLIENT) == ID
    assert "has no serverAuth" in refusal(issue(purposes=[CLIENT_AUTH]), purpose=Purpose.SERVER)
    assert "has no clientAuth" in refusal(issue(purposes=[SERVER_AUTH]), purpose=Purpose.CLIENT)


def test_an_intermediate_signs_those_that_it_is_for_and_no_others() -> None:
    servers = x509.Extension(x509.ExtendedKeyUsage.oid, False, x509.ExtendedKeyUsage([SERVER_AUTH]))
    svid = issue(intermediates=1, intermediates_extensions=[servers])
    assert verdict(svid, purpose=Purpose.SERVER) == ID
    assert "the intermediate certificate 'CN=authority " in refusal(svid, purpose=Purpose.CLIENT)


def test_what_must_be_obeyed_and_is_not_understood_is_refused() -> None:
    assert verdict(issue(more_extensions=[unknown(critical=False)])) == ID
    assert "not understood here" in refusal(issue(more_extensions=[unknown(critical=True)]))


@pytest.mark.parametrize("critical", [True, False])
def test_an_authority_that_is_constrained_to_names_is_refused_and_not_believed(critical: bool) -> None:
    names = x509.NameConstraints([x509.UniformResourceIdentifier("other.example")], None)
    constrained = x509.Extension(names.oid, critical, names)
    told = refusal(issue(intermediates=1, intermediates_extensions=[constrained]))
    assert "the intermediate certificate 'CN=authority " in told
    assert "not understood here (nameConstraints" in told


def test_what_an_intermediate_says_must_be_obeyed_and_is_not_understood_is_refused() -> None:
    assert verdict(issue(intermediates=1, intermediates_extensions=[unknown(critical=False)])) == ID
    assert "not understood here" in refusal(issue(intermediates=1, intermediates_extensions=[unknown(critical=True)]))


def test_an_authority_that_permits_fewer_below_it_is_refused() -> None:
    assert verdict(issue(intermediates=1, path_length=0)) == ID
    assert "permits 0 intermediate certificates below it, and 1 are" in refusal(issue(intermediates=2, path_length=0))


@pytest.mark.parametrize(
    "says", [{}, {"usages": ["digital_signature", "key_cert_sign"]}, {"authority": True}], ids=["leaf", "usage", "ca"]
)
def test_a_leaf_signs_nobody(says: dict[str, Any]) -> None:
    stolen = issue(**says)
    chain = (_signed_by(stolen), *chain_of(stolen))
    with pytest.raises(IdentityError, match="must not sign others"):
        verify(chain, {DOMAIN.name: DOMAIN.authorities}, purpose=Purpose.CLIENT, now=time.time())


def test_a_signature_over_a_short_hash_is_none() -> None:
    assert "have signed it" in refusal(issue(algorithm=hashes.SHA224()))


def test_an_altered_certificate_proves_nothing() -> None:
    (leaf,) = chain_of(issue())
    altered = leaf.replace(b"rtsp-proxy", b"rtsp-prox2")
    assert altered != leaf
    with pytest.raises(IdentityError, match="rtsp-prox2 has not proven it"):
        verify([altered], {DOMAIN.name: DOMAIN.authorities}, purpose=Purpose.CLIENT, now=time.time())


def test_nothing_too_much_and_too_large_are_refused_before_they_are_read() -> None:
    (leaf,) = chain_of(issue())
    for chain, why in (
        ((), "has shown no certificate"),
        ((leaf,) * (MAX_CHAIN + 1), f"has shown {MAX_CHAIN + 1} certificates, and {MAX_CHAIN} are looked at"),
        ((leaf, b"0" * (MAX_CERTIFICATE_BYTES + 1)), f"has shown a certificate of over {MAX_CERTIFICATE_BYTES} bytes"),
    ):
        with pytest.raises(IdentityError, match=f"the server {why}"):
            verify(chain, {DOMAIN.name: DOMAIN.authorities}, purpose=Purpose.SERVER, now=time.time())


# Of serial numbers that are not positive it says that some day they will be an error.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(st.data())
def test_garbage_gives_our_error_and_proves_nothing_else(data: st.DataObject) -> None:
    (leaf,) = chain_of(SVID)
    changed = bytearray(leaf)
    for at in data.draw(st.lists(st.integers(0, len(leaf) - 1), min_size=1, max_size=4)):
        changed[at] = data.draw(st.integers(0, 255))
    cut = bytes(changed[: data.draw(st.integers(0, len(leaf)))]) if data.draw(st.booleans()) else bytes(changed)
    with suppress(IdentityError):
        found = verify([cut], {DOMAIN.name: DOMAIN.authorities}, purpose=Purpose.CLIENT, now=time.time())
        assert (cut, found) == (leaf, ID)


def test_what_somebody_else_has_written_is_repeated_in_part_and_without_control_characters() -> None:
    told = refusal(issue(without_id=True, more_uris=["\x1b[2J" + "a" * 4000]))
    assert "\x1b" not in told
    assert len(told) < 3 * MAX_SHOWN_ID


SVID = issue()


def _signed_by(owner: Identity) -> bytes:
    """What SVID is but for its signature, which is by the key of `owner`, as if that were an authority's."""
    signer, like = (x509.load_pem_x509_certificates(each.certificates.encode())[0] for each in (owner, SVID))
    key = serialization.load_pem_private_key(owner.key.encode(), None)
    builder = x509.CertificateBuilder(extensions=list(like.extensions))
    signed = (
        builder.subject_name(like.subject)
        .issuer_name(signer.subject)
        .public_key(like.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(like.not_valid_before_utc)
        .not_valid_after(like.not_valid_after_utc)
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    return signed.public_bytes(serialization.Encoding.DER)
