"""Nonces that nobody has to keep (RFC 7616, 5.4): when they were made and for whom is in them, under a keyed hash.

So no client can make us remember anything, and proxies with one key and one clock take each other's. What that cannot
do is notice a nonce that is used twice: it is good for one address and a few minutes instead.
"""

from __future__ import annotations

import base64
import hmac

NONCE_SECONDS = 300.0
"""How long a nonce is good: players ask all that they ask for within seconds, and renew one by themselves."""

KEY_BYTES = 32
"""As long as the hash under which nonces are made; a shorter key could be guessed sooner."""

_MAC_BYTES = 16
_TIME_BYTES = 8
_MILLISECONDS = 1000


class Nonces:
    """`key` is secret, and random: KEY_BYTES at least."""

    def __init__(self, key: bytes, lifetime: float = NONCE_SECONDS) -> None:
        if len(key) < KEY_BYTES:
            raise ValueError(f"a key of nonces has {KEY_BYTES} bytes, not {len(key)}")
        self._key = key
        self._lifetime = lifetime

    def issue(self, peer: str, now: float) -> str:
        """A nonce for `peer`, an address. `now` in seconds, of a clock that all users of the key share."""
        return self._encode(int(now * _MILLISECONDS).to_bytes(_TIME_BYTES), peer)

    def good(self, nonce: str, peer: str, now: float) -> bool:
        """Whether this was issued for `peer`, and not too long ago."""
        try:
            made = base64.urlsafe_b64decode(nonce.encode())[:_TIME_BYTES]
        except ValueError:
            return False
        if not hmac.compare_digest(nonce.encode(), self._encode(made, peer).encode()):
            return False
        age = now - int.from_bytes(made) / _MILLISECONDS
        # A clock in milliseconds may be that much behind the one that is asked.
        return -1 / _MILLISECONDS <= age <= self._lifetime

    def _encode(self, made: bytes, peer: str) -> str:
        mac = hmac.digest(self._key, made + peer.encode(), "sha256")[:_MAC_BYTES]
        return base64.urlsafe_b64encode(made + mac).decode()
