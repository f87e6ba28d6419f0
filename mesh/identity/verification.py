"""Who somebody is, by the certificates that they have shown: the rules of SPIFFE's X509-SVID, and nothing else.

Which authorities are asked follows from the ID itself: those of its own trust domain, and no others, so that a trust
domain that ours is federated with can prove its own IDs only. TLS has shown before that they have the key. A name that
is proven is no permission: who may do what is asked with the SPIFFE ID that comes out here.

Source: SPIFFE X509-SVID, sections 2 to 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cryptography import x509

from mesh.identity.chains import Purpose, date_problem, extension, path_problem, purpose_problem, unread_problem
from mesh.identity.spiffe_ids import checked_id, segments_of, shown, trust_domain_of
from mesh.identity.svid import IdentityError

MAX_CHAIN = 8
"""Certificates that somebody may show. SPIRE's have two or three; each may cost the signatures of all others."""
MAX_CERTIFICATE_BYTES = 16_384
"""Of one certificate, DER. Those of SVIDs have about 1,000; an ID may have 2,048, and a large RSA key and signature as
much. It bounds the size of the keys that signatures are verified with."""

_UNREADABLE = (ValueError, x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType)


def verify(chain: Sequence[bytes], authorities: Mapping[str, str], *, purpose: Purpose, now: float) -> str:
    """The SPIFFE ID that a chain of certificates proves.

    chain: DER, the SVID first, the others in any order; what does not belong to it does no harm. authorities: PEM by
    the name of the trust domain whose identities they sign (`Identity.authorities`); they need not be self-signed.
    purpose: which side of the connection has shown it. now: seconds since 1970.

    Raises IdentityError, which says who it was as far as that is known, what is wrong, and what to do. Costs at most
    n(n + m) signatures, for n certificates and m authorities of the trust domain.
    """
    leaf, *others = _read(chain, purpose)
    spiffe_id = _named(leaf, purpose)
    problem = _leaf_problem(leaf, purpose, now) or _proof_problem(spiffe_id, leaf, others, authorities, purpose, now)
    if problem is not None:
        raise IdentityError(f"the {purpose.value} that says it is {spiffe_id} has not proven it: {problem}")
    return spiffe_id


def _read(chain: Sequence[bytes], purpose: Purpose) -> list[x509.Certificate]:
    who = f"the {purpose.value}"
    if not chain:
        raise IdentityError(f"{who} has shown no certificate: give it an identity of a SPIFFE Workload API")
    if len(chain) > MAX_CHAIN:
        raise IdentityError(f"{who} has shown {len(chain)} certificates, and {MAX_CHAIN} are looked at: send fewer")
    if max(map(len, chain)) > MAX_CERTIFICATE_BYTES:
        raise IdentityError(f"{who} has shown a certificate of over {MAX_CERTIFICATE_BYTES} bytes: issue a smaller one")
    try:
        certificates = [x509.load_der_x509_certificate(each) for each in chain]
        _read_whole(certificates)
    except _UNREADABLE as error:
        raise IdentityError(
            f"{who} has shown what cannot be read as a certificate ({shown(str(error))}): look at what issues it"
        ) from None
    return certificates


def _read_whole(certificates: Sequence[x509.Certificate]) -> None:
    """These parts are read at their first use only, which would be too late for an error that says whose they are."""
    for each in certificates:
        _ = each.extensions, each.issuer, each.subject, each.not_valid_before_utc, each.not_valid_after_utc


def _named(leaf: x509.Certificate, purpose: Purpose) -> str:
    names = extension(leaf, x509.SubjectAlternativeName)
    uris = names.get_values_for_type(x509.UniformResourceIdentifier) if names is not None else []
    who = f"the certificate that the {purpose.value} has shown"
    if len(uris) != 1:
        raise IdentityError(
            f"{who} has {len(uris)} URIs ({', '.join(map(shown, uris[:2])) or 'so no SPIFFE ID'}), and an SVID has"
            " exactly one: issue it with its SPIFFE ID alone, as SPIFFE Workload APIs do"
        )
    try:
        spiffe_id = checked_id(uris[0])
    except ValueError as error:
        raise IdentityError(f"{who} is no SVID: {error}") from None
    if not segments_of(spiffe_id):
        raise IdentityError(f"{who} is of the trust domain {spiffe_id} itself: workloads have IDs with a path")
    return spiffe_id


def _leaf_problem(leaf: x509.Certificate, purpose: Purpose, now: float) -> str | None:
    problem = _usage_problem(leaf) or purpose_problem(leaf, purpose) or unread_problem(leaf)
    if problem is not None:
        return f"its certificate {problem}"
    late = date_problem(leaf, now)
    return late and f"its certificate {late}; see that its SPIFFE Workload API still renews it"


def _usage_problem(leaf: x509.Certificate) -> str | None:
    constraints, usage = extension(leaf, x509.BasicConstraints), extension(leaf, x509.KeyUsage)
    if constraints is not None and constraints.ca:
        return "is an authority's, which proves nobody's identity: show an SVID instead"
    if usage is None or not usage.digital_signature:
        return "is not for signatures (its key usage has no digitalSignature): issue it with that"
    if usage.key_cert_sign or usage.crl_sign:
        return "could sign others (its key usage has keyCertSign or cRLSign): issue it without"
    return None


def _proof_problem(
    spiffe_id: str,
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    authorities: Mapping[str, str],
    purpose: Purpose,
    now: float,
) -> str | None:
    domain = trust_domain_of(spiffe_id)
    if domain not in authorities:
        known = ", ".join(sorted(authorities)) or "none"
        return f"there is no bundle of the trust domain {domain} here (known: {known}): federate with it"
    try:
        own = x509.load_pem_x509_certificates(authorities[domain].encode())
        _read_whole(own)
    except _UNREADABLE as error:
        return f"the bundle of the trust domain {domain} cannot be read ({error}); look at what issues it"
    problem = path_problem(leaf, others, own, purpose, now)
    return problem and (
        f"of the {len(own)} authorities of the trust domain {domain} none proves it: {problem}; see that both ends have"
        " the trust domain's newest bundle, and that all intermediate certificates are sent"
    )
