"""Who is at the other end of a TLS connection, by the certificates that it has shown.

Which trust domain's authorities may prove an identity depends on the identity itself, so they are looked at after the
handshake, by `mesh.identity.verification`, and before anything is said. For that all certificates are needed that the
peer has sent, because bundles hold no intermediate ones. Python's public API gives them from 3.13 on; before, the same
function is there, without its public name, and gives certificates instead of bytes.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

# What `_ssl` calls DER, as an argument of a certificate's `public_bytes`.
_DER = 2


def shown_chain(connection: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates (DER) that the peer has sent, its own first; none where it has none."""
    if connection.getpeercert(binary_form=True) is None:
        return ()
    public: Any = getattr(connection, "get_unverified_chain", None)
    certificates: Iterable[Any] = (public or connection._sslobj.get_unverified_chain)()  # type: ignore[attr-defined]
    return tuple(each if isinstance(each, bytes) else each.public_bytes(_DER) for each in certificates)
