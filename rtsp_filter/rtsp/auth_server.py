"""The asking side of authentication (RFC 7235, RFC 7616, RFC 7617): who sends this request, or what to ask of him.

Passwords are known as hashes (HA1) that are good in one realm only. A client proves its password over the URL that it
sees itself, so requests are checked as they came, before any URL is rewritten.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from rtsp_filter.rtsp.auth import Scheme, digest_response, parse_parameters, password_hash, quoted
from rtsp_filter.rtsp.errors import RTSPError, URLError
from rtsp_filter.rtsp.messages import Request
from rtsp_filter.rtsp.nonces import Nonces
from rtsp_filter.rtsp.status import StatusCode
from rtsp_filter.rtsp.url import RTSPURL

_ALGORITHMS = {Scheme.DIGEST_SHA256: "SHA-256", Scheme.DIGEST_MD5: "MD5"}
_SCHEMES = {"": Scheme.DIGEST_MD5, "MD5": Scheme.DIGEST_MD5, "SHA-256": Scheme.DIGEST_SHA256}
_NC_DIGITS = 8
# Unknown users are compared with this, so that they take as long as known ones.
_NOBODY = ""


class UnauthorizedError(RTSPError):
    """The request does not say who sends it, or not so that it can be believed. Send 401 with every `headers`.

    `wrong`: it does say, and the password is wrong, or the user unknown.
    """

    status = StatusCode.UNAUTHORIZED

    def __init__(self, message: str, headers: tuple[tuple[str, str], ...], *, wrong: bool = False) -> None:
        super().__init__(message)
        self.headers = headers
        self.wrong = wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """What a password is checked with: its hash (`password_hash`, hex) for each scheme that the user may use."""

    md5: str | None = field(default=None, repr=False)
    sha256: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, username: str, realm: str, password: str) -> Secret:
        """The hashes of a password for both schemes."""
        return cls(
            md5=password_hash(Scheme.DIGEST_MD5, username, realm, password),
            sha256=password_hash(Scheme.DIGEST_SHA256, username, realm, password),
        )

    def of_scheme(self, scheme: Scheme) -> str | None:
        """The hash for a digest scheme; None where the user has none."""
        return self.sha256 if scheme is Scheme.DIGEST_SHA256 else self.md5


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Who may pass: the users of one realm, by name.

    `digests` are offered in this order. Players that know MD5 only take the last one that they are offered, so it comes
    last. `basic`: passwords may come in the clear, which only TLS makes bearable.
    """

    realm: str
    users: Mapping[str, Secret]
    nonces: Nonces
    digests: tuple[Scheme, ...] = (Scheme.DIGEST_SHA256, Scheme.DIGEST_MD5)
    basic: bool = False

    def user(self, request: Request, peer: str, now: float) -> str:
        """The name of the user who sends this request from the address `peer`. Raises UnauthorizedError."""
        value = request.headers.get("Authorization") or ""
        scheme, _, rest = value.partition(" ")
        if scheme.lower() == "basic" and self.basic:
            name = self._basic_user(rest.strip())
            stale = False
        else:
            name, stale = self._digest_user(value, request, peer, now)
        if name is None or stale:
            wrong = bool(value) and not stale
            raise UnauthorizedError(_reason(value, stale), self._challenges(peer, now, stale), wrong=wrong)
        return name

    def _challenges(self, peer: str, now: float, stale: bool) -> tuple[tuple[str, str], ...]:
        values = [self._challenge(_ALGORITHMS[scheme], peer, now, stale) for scheme in self.digests]
        basic = [f"Basic {quoted('realm', self.realm)}"] if self.basic else []
        return tuple(("WWW-Authenticate", value) for value in [*values, *basic])

    def _challenge(self, algorithm: str, peer: str, now: float, stale: bool) -> str:
        nonce = self.nonces.issue(peer, now)
        # In this order: players on LIVE555 see "stale" only if it comes right behind the nonce, and give up otherwise.
        known = [quoted("realm", self.realm), quoted("nonce", nonce), *(["stale=true"] if stale else [])]
        return "Digest " + ", ".join([*known, 'qop="auth"', f"algorithm={algorithm}"])

    def _digest_user(self, value: str, request: Request, peer: str, now: float) -> tuple[str | None, bool]:
        """Who proves to know a password, and whether only the nonce is not good (any more)."""
        said = next((parameters for scheme, parameters in parse_parameters([value]) if scheme == "digest"), {})
        scheme = _SCHEMES.get(said.get("algorithm", "").upper())
        nonce_part = _nonce_part(said)
        if scheme not in self.digests or nonce_part is None or said.get("realm") != self.realm:
            return None, False
        name, url = said.get("username", ""), said.get("uri", "")
        secret = self._secret(name, scheme)
        expected = digest_response(scheme, secret or _NOBODY, request.method, url, nonce_part)
        proven = _equal(expected, said.get("response", "").lower())
        if not proven or secret is None or not _concerns(url, request.url):
            return None, False
        return name, not self.nonces.good(said["nonce"], peer, now)

    def _basic_user(self, encoded: str) -> str | None:
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            return None
        scheme = Scheme.DIGEST_SHA256 if self._secret(name, Scheme.DIGEST_SHA256) else Scheme.DIGEST_MD5
        known = _equal(password_hash(scheme, name, self.realm, password), self._secret(name, scheme) or _NOBODY)
        return name if known else None

    def _secret(self, name: str, scheme: Scheme) -> str | None:
        user = self.users.get(name)
        return user.of_scheme(scheme) if user is not None else None


def _equal(one: str, other: str) -> bool:
    """In a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogateescape"))


def _nonce_part(said: Mapping[str, str]) -> str | None:
    """What the digest is over besides password and URL; None for what is no answer to our challenge.

    Without qop it is the form of RFC 2069, which players on LIVE555 use whatever they are offered.
    """
    nonce = said.get("nonce")
    if nonce is None or "qop" not in said:
        return nonce
    count, cnonce = said.get("nc", ""), said.get("cnonce", "")
    counted = len(count) == _NC_DIGITS and all(digit in "0123456789abcdefABCDEF" for digit in count)
    return f"{nonce}:{count}:{cnonce}:auth" if counted and cnonce and said["qop"].lower() == "auth" else None


def _concerns(proven: str, asked: str) -> bool:
    """Whether a digest over the URL `proven` may stand for a request for `asked`: the same path, or one above it,
    since players on LIVE555 always sign the URL of the stream. Names of hosts are as various as ways to the proxy."""
    if asked in ("*", proven):
        return True
    above, below = _path(proven), _path(asked)
    return below == above or below.startswith(f"{above}/")


def _path(url: str) -> str:
    try:
        path = RTSPURL.parse(url).target
    except URLError:
        path = url
    return path.rstrip("/")


def _reason(value: str, stale: bool) -> str:
    if not value:
        return "a password is needed"
    return "the nonce has expired" if stale else "the user name or the password is wrong"
