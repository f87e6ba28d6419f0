"""Trust domains that a test makes for itself: SVIDs of any lifetime, or with a defect, and sources that it rotates.

Every SVID keeps to the SPIFFE X509-SVID specification unless its defect was asked for by name.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh.identity import Identity, IdentityError

LIFETIME = 3600.0
AUTHORITY_LIFETIME = 86_400.0
# What is valid from this moment on is not yet for whoever reads a second too late what time it is.
BACKDATED = 60.0
PURPOSES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
_SHA256 = hashes.SHA256()


class TrustDomain:
    """A trust domain with one authority of its own, and as many intermediates as are asked for."""

    def __init__(
        self, name: str = "mesh.local", *, lifetime: float = AUTHORITY_LIFETIME, under: TrustDomain | None = None
    ) -> None:
        """lifetime: seconds from now. under: whose authority signs this one's; by default it does that itself."""
        self.name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        issuer, signer = (None, self._key) if under is None else (under._certificate, under._key)
        self._certificate: x509.Certificate = _authority(f"spiffe://{name}", self._key, issuer, signer, lifetime)

    @property
    def authorities(self) -> str:
        """The bundle, as PEM."""
        return _pem(self._certificate)

    def id_of(self, service_account: str, namespace: str = "msm") -> str:
        """The SPIFFE ID of one of the mesh's parts, by the template that is there by default."""
        return f"spiffe://{self.name}/ns/{namespace}/sa/{service_account}"

    def issue(
        self,
        spiffe_id: str,
        *,
        lifetime: float = LIFETIME,
        starts: float = -BACKDATED,
        more_uris: Iterable[str] = (),
        without_id: bool = False,
        dns: Iterable[str] = (),
        intermediates: int = 0,
        intermediates_lifetime: float = AUTHORITY_LIFETIME,
        intermediates_extensions: Iterable[x509.Extension[x509.ExtensionType]] = (),
        path_length: int | None = None,
        authority: bool = False,
        usages: Iterable[str] = ("digital_signature",),
        purposes: Iterable[x509.ObjectIdentifier] = PURPOSES,
        more_extensions: Iterable[x509.Extension[x509.ExtensionType]] = (),
        algorithm: hashes.SHA256 | hashes.SHA224 = _SHA256,
        federated: Iterable[TrustDomain] = (),
    ) -> Identity:
        """An SVID for this ID (which may be of another domain: that is a defect), and whom its owner believes.

        lifetime: seconds from now until it expires, less than 0 for one that has. starts: seconds from now until it is
        valid. more_uris: further names, which no SVID may have. without_id: it has only those. intermediates:
        authorities between it and the domain's own. path_length: how many each of those permits below itself.
        authority: it could sign others, which no SVID may. usages: of its key, as `x509.KeyUsage` calls them; none: it
        does not say. purposes: of its extended key usage; none: it does not say. more_extensions: further ones,
        intermediates_extensions: those of its intermediates. algorithm: what its signature is over.
        """
        signer, issuer, between = self._key, self._certificate, list[x509.Certificate]()
        between_says = tuple(intermediates_extensions)
        for _ in range(intermediates):
            key = ec.generate_private_key(ec.SECP256R1())
            issuer = _authority(
                f"spiffe://{self.name}", key, issuer, signer, intermediates_lifetime, path_length, between_says
            )
            between.insert(0, issuer)
            signer = key
        key = ec.generate_private_key(ec.SECP256R1())
        expires_at = time.time() + lifetime
        uris = [*(() if without_id else (spiffe_id,)), *more_uris]
        names = [*map(x509.UniformResourceIdentifier, uris), *map(x509.DNSName, dns)]
        usages, purposes = tuple(usages), tuple(purposes)
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=authority, path_length=None), True),
            *([(_usages(*usages), True)] if usages else []),
            *([(x509.ExtendedKeyUsage(purposes), False)] if purposes else []),
            *([(x509.SubjectAlternativeName(names), False)] if names else []),
            *((each.value, each.critical) for each in more_extensions),
        ]
        builder = _builder(key, _name("workload"), issuer.subject, min(starts, lifetime - 1), lifetime)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        leaf = builder.sign(signer, algorithm)
        return Identity(
            spiffe_id=spiffe_id,
            certificates="".join(map(_pem, (leaf, *between))),
            key=key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
            expires_at=float(int(expires_at)),  # certificates have whole seconds
            authorities={each.name: each.authorities for each in (self, *federated)},
        )

    def source(self, service_account: str, *, lifetime: float = LIFETIME) -> HandSource:
        """The source of one of the mesh's parts."""
        return HandSource(self.issue(self.id_of(service_account), lifetime=lifetime))


class HandSource:
    """An IdentitySource that a test rotates by hand."""

    def __init__(self, identity: Identity | None) -> None:
        self._identity = identity
        self._changed: list[Callable[[], None]] = []

    def identity(self) -> Identity:
        """The newest one. Raises IdentityError when there is none, or none that has not expired."""
        if self._identity is None or self._identity.expires_at <= time.time():
            raise IdentityError("the identity of this test is gone: give it another")
        return self._identity

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called by `rotate`; gives what ends that."""
        self._changed.append(changed)
        return lambda: self._changed.remove(changed)

    def rotate(self, identity: Identity | None) -> None:
        """From now on this is the newest one; None: the agent and its last SVID are gone."""
        self._identity = identity
        for changed in list(self._changed):
            changed()


def chain_of(identity: Identity) -> tuple[bytes, ...]:
    """What somebody shows with an identity: its certificates, DER, the SVID first."""
    found = x509.load_pem_x509_certificates(identity.certificates.encode())
    return tuple(each.public_bytes(serialization.Encoding.DER) for each in found)


def _authority(
    uri: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    signer: ec.EllipticCurvePrivateKey,
    lifetime: float,
    path_length: int | None = None,
    more_extensions: Iterable[x509.Extension[x509.ExtensionType]] = (),
) -> x509.Certificate:
    # A name that no other authority has: OpenSSL finds issuers by their names.
    own = _name(f"authority {secrets.token_hex(4)}")
    builder = (
        _builder(key, own, issuer.subject if issuer is not None else own, -BACKDATED, lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_AUTHORITY_USAGE, critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False)
    )
    for each in more_extensions:
        builder = builder.add_extension(each.value, critical=each.critical)
    return builder.sign(signer, _SHA256)


def _builder(
    key: ec.EllipticCurvePrivateKey, subject: x509.Name, issuer: x509.Name, starts: float, ends: float
) -> x509.CertificateBuilder:
    now = time.time()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(int(now + starts), UTC))
        .not_valid_after(datetime.fromtimestamp(int(now + ends), UTC))
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _usages(*named: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in named for usage in _USAGES})


_AUTHORITY_USAGE = _usages("key_cert_sign", "crl_sign")


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
