"""Answers to 401 (RFC 2617, RFC 7616): the strongest scheme on offer, and nonces that go stale.

One `Authenticator` belongs to one server. Once challenged, it authorizes every later request ahead.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

_PART = re.compile(
    r"[,\s]*(?:(?P<scheme>[A-Za-z][\w-]{0,31})(?:\s+|$))?"
    r"(?:(?P<name>[A-Za-z][\w-]{0,31})\s*=\s*(?:\"(?P<quoted>[^\"\\]*(?:\\.[^\"\\]*)*)\"|(?P<plain>[^\s,]*)))?"
)
_ESCAPED = re.compile(r"\\(.)")
_CNONCE_BYTES = 8


class Scheme(IntEnum):
    """Schemes that we can answer; the greater, the stronger."""

    BASIC = 1
    DIGEST_MD5 = 2
    DIGEST_SHA256 = 3


_DIGESTS = {"": Scheme.DIGEST_MD5, "MD5": Scheme.DIGEST_MD5, "SHA-256": Scheme.DIGEST_SHA256}
_ALGORITHMS = {Scheme.DIGEST_MD5: "MD5", Scheme.DIGEST_SHA256: "SHA-256"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """For one server. The password never shows in a representation."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What one WWW-Authenticate entry asks for. `algorithm` and `opaque` are repeated only if they were sent."""

    scheme: Scheme
    realm: str = ""
    nonce: str = ""
    opaque: str | None = None
    algorithm: str | None = None
    qop_auth: bool = False
    stale: bool = False


def parse_challenges(values: Iterable[str]) -> tuple[Challenge, ...]:
    """The challenges that we can answer, from all WWW-Authenticate headers of a response."""
    challenges = (_challenge(scheme, parameters) for scheme, parameters in parse_parameters(values))
    return tuple(challenge for challenge in challenges if challenge is not None)


def parse_parameters(values: Iterable[str]) -> list[tuple[str, dict[str, str]]]:
    """Schemes and their parameters, names in lower case, of WWW-Authenticate or Authorization (RFC 7235, 4.1, 4.2)."""
    found: list[tuple[str, dict[str, str]]] = []
    for value in values:
        for part in _PART.finditer(value):
            scheme, name, quoted_text, plain = part.groups()
            if scheme:
                found.append((scheme.lower(), {}))
            if name and found:
                found[-1][1].setdefault(name.lower(), plain if quoted_text is None else _unescaped(quoted_text))
    return found


class Authenticator:
    """Authorizes requests to one server with its latest challenge."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._challenge: Challenge | None = None
        self._nonce_count = 0

    @property
    def nonce(self) -> str | None:
        """The nonce in use; "" for Basic, which has none; None before the first challenge."""
        return self._challenge.nonce if self._challenge else None

    def learn(self, values: Iterable[str]) -> Challenge | None:
        """Take the strongest of the challenges in a 401; None where none can be answered."""
        challenges = parse_challenges(values)
        if not challenges:
            return None
        self._challenge = max(challenges, key=lambda challenge: challenge.scheme)
        self._nonce_count = 0
        return self._challenge

    def authorization(self, method: str, url: str) -> str | None:
        """The Authorization header for this request; None before the first challenge.

        `url` is the one on the request line, to the byte.
        """
        challenge = self._challenge
        if challenge is None:
            return None
        if challenge.scheme is Scheme.BASIC:
            pair = f"{self._credentials.username}:{self._credentials.password}"
            return "Basic " + base64.b64encode(pair.encode()).decode()
        self._nonce_count += 1
        return _digest(challenge, self._credentials, method, url, self._nonce_count)


def password_hash(scheme: Scheme, username: str, realm: str, password: str) -> str:
    """What stands for a password where it is checked (HA1 of RFC 7616, 3.4.2), in hex: good for this realm only."""
    return _hash(scheme, f"{username}:{realm}:{password}")


def digest_response(scheme: Scheme, secret: str, method: str, url: str, nonce_part: str) -> str:
    """The hash that proves the password (RFC 7616, 3.4.1). `secret` is its `password_hash`; `nonce_part` is the nonce,
    or with qop nonce:nc:cnonce:qop."""
    return _hash(scheme, f"{secret}:{nonce_part}:{_hash(scheme, f'{method}:{url}')}")


def _digest(challenge: Challenge, credentials: Credentials, method: str, url: str, count: int) -> str:
    parameters = {"username": credentials.username, "realm": challenge.realm, "nonce": challenge.nonce, "uri": url}
    plain: dict[str, str] = {}
    nonce_part = challenge.nonce
    if challenge.qop_auth:
        cnonce = secrets.token_hex(_CNONCE_BYTES)
        nonce_part = f"{challenge.nonce}:{count:08x}:{cnonce}:auth"
        plain = {"qop": "auth", "nc": f"{count:08x}"}
        parameters["cnonce"] = cnonce
    secret = password_hash(challenge.scheme, credentials.username, challenge.realm, credentials.password)
    parameters["response"] = digest_response(challenge.scheme, secret, method, url, nonce_part)
    if challenge.opaque is not None:
        parameters["opaque"] = challenge.opaque
    if challenge.algorithm is not None:
        plain["algorithm"] = _ALGORITHMS[challenge.scheme]
    return "Digest " + ", ".join(
        [quoted(name, value) for name, value in parameters.items()]
        + [f"{name}={value}" for name, value in plain.items()]
    )


def _challenge(scheme: str, parameters: dict[str, str]) -> Challenge | None:
    realm = parameters.get("realm", "")
    if scheme == "basic":
        return Challenge(scheme=Scheme.BASIC, realm=realm)
    algorithm = parameters.get("algorithm")
    known = _DIGESTS.get((algorithm or "").upper())
    qops = [qop.strip().lower() for qop in parameters.get("qop", "").split(",") if qop.strip()]
    if scheme != "digest" or known is None or "nonce" not in parameters or (qops and "auth" not in qops):
        return None
    return Challenge(
        scheme=known,
        realm=realm,
        nonce=parameters["nonce"],
        opaque=parameters.get("opaque"),
        algorithm=algorithm,
        qop_auth=bool(qops),
        stale=parameters.get("stale", "").lower() == "true",
    )


def _hash(scheme: Scheme, text: str) -> str:
    # MD5 is what the RFC and nearly every camera use; it proves knowledge of a password here, and signs nothing.
    algorithm = hashlib.sha256 if scheme is Scheme.DIGEST_SHA256 else hashlib.md5
    return algorithm(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def quoted(name: str, value: str) -> str:
    """A parameter with a quoted value."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'
