"""TLS towards cameras: whom to trust, and why a camera was not trusted, for people."""

from __future__ import annotations

import ssl
from functools import lru_cache

from mesh.model import BackendTLS

# Sets of authorities that are kept ready: reading those of a system takes 20 ms.
_KNOWN_AUTHORITIES = 64
# What OpenSSL calls the first bytes of a server that does not speak TLS.
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")


@lru_cache(_KNOWN_AUTHORITIES)
def _context(authorities: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authorities)


def context_for(tls: BackendTLS) -> ssl.SSLContext:
    """A context that verifies certificates and the names in them. Raises ValueError for authorities that are none."""
    try:
        return _context(tls.authorities)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(f"trusted_ca cannot be used: {getattr(error, 'reason', None) or error}") from None


def why_not_trusted(error: ssl.SSLError, tls: BackendTLS) -> str:
    """What is wrong with a camera's TLS, and where it is set right."""
    if isinstance(error, ssl.SSLCertVerificationError):
        whom = "the system's authorities" if tls.authorities is None else "those of its BackendTLSPolicy"
        return f"its certificate does not prove that it is {tls.hostname}, to {whom}: {error.verify_message}"
    reason = getattr(error, "reason", None)  # errors of asyncio itself have none
    return "it does not speak TLS at this port" if reason in _NOT_TLS else f"TLS failed: {reason or error}"
