"""Whether certificates lead from one to an authority: the path of X.509, with no more than SPIFFE needs.

Breadth first: whoever may have signed the leaf, then whoever may have signed those. Each certificate is taken once,
where fewest are below it, which is where a path length constraint permits most, so nothing is missed by not looking at
it again. With n certificates and m authorities at most n(n + m) signatures are verified, and only where names fit.

`cryptography.x509.verification` is not used: it says neither which certificate was at fault nor why, so there would be
no telling what to do; it has one time for both ends of a validity, so no allowance for clocks; and its authors call it
unstable. The signature and names of one pair of certificates are its package's all the same.

Source: RFC 5280, section 6.1. Not read, so whatever has them is refused: name constraints, and critical extensions
besides those of `_READ`. Stricter than there: a path length constraint counts self-issued certificates too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from mesh.identity.spiffe_ids import shown

CLOCK_SKEW = 30.0
"""Seconds that two clocks may be apart. Machines that ask for the time are within one; this is for one that has just
woken up. SVIDs live for minutes at least, so it adds little to the time that a stolen one is good for."""

_READ = frozenset(
    kind.oid for kind in (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName)
)
# None: Ed25519 and Ed448, which need no hash. Whoever can make two texts of one hash can make certificates of SHA-1.
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512, type(None))
_E = TypeVar("_E", bound=x509.ExtensionType)


class Purpose(Enum):
    """What an SVID was shown as: the side of the connection that it is of."""

    CLIENT = "client"
    SERVER = "server"


_USAGES = {Purpose.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH, Purpose.SERVER: ExtendedKeyUsageOID.SERVER_AUTH}


def path_problem(
    leaf: x509.Certificate,
    others: Iterable[x509.Certificate],
    authorities: Sequence[x509.Certificate],
    purpose: Purpose,
    now: float,
) -> str | None:
    """Why nothing leads from `leaf` to one of `authorities`, through any of `others`; None when something does."""
    problems, reached, left, below = list[str](), [leaf], list(others), 0
    while reached:
        for authority in _issuers(reached, authorities):
            problem = _signer_problem("authority", authority, below, purpose, now)
            if problem is None:
                return None
            problems.append(problem)
        found = _issuers(reached, left)
        left = [each for each in left if each not in found]
        faults = [_signer_problem("intermediate certificate", each, below, purpose, now) for each in found]
        reached = [each for each, fault in zip(found, faults, strict=True) if fault is None]
        problems.extend(fault for fault in faults if fault is not None)
        below += 1
    return problems[0] if problems else "neither they nor a certificate that came with it have signed it"


def purpose_problem(certificate: x509.Certificate, purpose: Purpose) -> str | None:
    """Why a certificate is not for a purpose; one that names none is for all (RFC 5280, section 4.2.1.12)."""
    usages = extension(certificate, x509.ExtendedKeyUsage)
    if usages is None or _USAGES[purpose] in usages:
        return None
    return f"is not meant for a {purpose.value} (its extended key usage has no {purpose.value}Auth): issue it with it"


def date_problem(certificate: x509.Certificate, now: float) -> str | None:
    """Why a certificate is not valid at `now` (seconds since 1970)."""
    starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < starts.timestamp() - CLOCK_SKEW:
        return f"is not valid before {starts:%FT%TZ}, and here it is {_time(now)}: set the clocks of both machines"
    if now > ends.timestamp() + CLOCK_SKEW:
        return f"expired at {ends:%FT%TZ}, and here it is {_time(now)}"
    return None


def unread_problem(certificate: x509.Certificate) -> str | None:
    """Which part of a certificate says something that has to be obeyed, and is not understood here."""
    for each in certificate.extensions:
        if each.oid == x509.NameConstraints.oid or (each.critical and each.oid not in _READ):
            name = getattr(each.oid, "_name", each.oid.dotted_string)
            return f"has an extension that is not understood here ({name}, {each.oid.dotted_string}): issue it without"
    return None


def extension(certificate: x509.Certificate, kind: type[_E]) -> _E | None:
    """The extension of a kind; None where a certificate has none."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _issuers(
    certificates: Iterable[x509.Certificate], candidates: Iterable[x509.Certificate]
) -> list[x509.Certificate]:
    certificates = tuple(certificates)
    return [each for each in candidates if any(_has_signed(each, certificate) for certificate in certificates)]


def _has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
        return isinstance(certificate.signature_hash_algorithm, _HASHES)
    except (InvalidSignature, TypeError, UnsupportedAlgorithm, ValueError):
        return False


def _signer_problem(kind: str, certificate: x509.Certificate, below: int, purpose: Purpose, now: float) -> str | None:
    problem = (
        _constraint_problem(certificate, below)
        or purpose_problem(certificate, purpose)
        or unread_problem(certificate)
        or date_problem(certificate, now)
    )
    return problem and f"the {kind} {shown(certificate.subject.rfc4514_string())} {problem}"


def _constraint_problem(certificate: x509.Certificate, below: int) -> str | None:
    constraints, usage = extension(certificate, x509.BasicConstraints), extension(certificate, x509.KeyUsage)
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        return "must not sign others (it needs CA:true, and keyCertSign if it has a key usage)"
    if constraints.path_length is not None and below > constraints.path_length:
        return f"permits {constraints.path_length} intermediate certificates below it, and {below} are: issue it anew"
    return None


def _time(now: float) -> str:
    return f"{datetime.fromtimestamp(now, UTC):%FT%TZ}"
