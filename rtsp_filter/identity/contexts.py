"""TLS contexts from a SPIFFE identity. Keys come from memory and go nowhere else.

Python's `ssl` reads certificates and keys from files only; a memfd is a file without a name, gone once it is read. A
context is made once for each identity, and an identity source gives the newest one, so a connection shows the newest
SVID and those that are open keep theirs.

OpenSSL checks that whoever shows a certificate has its key. Whose certificate it is, `peer` finds out: an authority
proves the identities of its own trust domain only, which OpenSSL cannot be told.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable

from mesh.identity import Identity, IdentityError, IdentitySource


def client_context(identity: Identity) -> ssl.SSLContext:
    """A context for clients, which shows the SVID to servers that ask for it. TLS 1.2 and later.

    It takes any certificate: whoever connects with it finds out by `peer` whose it is, before a byte is sent. Raises
    IdentityError.
    """
    context = unproven_context()
    _show(context, identity)
    return context


def unproven_context() -> ssl.SSLContext:
    """A context for clients that show nothing and take any certificate, because they look at it themselves once the
    handshake is done. TLS 1.2 and later."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def server_context(identity: Identity) -> ssl.SSLContext:
    """A context for servers, which shows the SVID and asks for that of the client. TLS 1.2 and later.

    Raises IdentityError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Each renegotiation costs a server far more than the client that asks for it; nobody needs one.
    context.options |= ssl.OP_NO_RENEGOTIATION
    _show(context, identity)
    ask_for_identity(context, identity)
    return context


def ask_for_identity(context: ssl.SSLContext, identity: Identity) -> None:
    """Have a server's context ask for a client's certificate, and refuse one that none of the identity's authorities
    has signed; a client may have none. Raises IdentityError."""
    context.verify_mode = ssl.CERT_OPTIONAL
    # Authorities of a bundle need not be self-signed (SPIFFE X509-SVID, section 4.1).
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    # A session that is taken up again would bring no chain, nor a certificate that was looked at lately.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    try:
        context.load_verify_locations(cadata="".join(identity.authorities.values()))
    except (ssl.SSLError, ValueError) as error:
        raise IdentityError(
            f"the authorities that came with {identity.spiffe_id} cannot be used"
            f" ({getattr(error, 'reason', None) or error}); look at the bundles of its SPIFFE Workload API"
        ) from error


def _show(context: ssl.SSLContext, identity: Identity) -> None:
    memory = os.memfd_create("svid", os.MFD_CLOEXEC)
    try:
        with os.fdopen(memory, "wb", closefd=False) as file:
            file.write(f"{identity.certificates}\n{identity.key}".encode())
        context.load_cert_chain(f"/proc/self/fd/{memory}", password=lambda: b"")
    except ssl.SSLError as error:
        raise IdentityError(
            f"the SVID of {identity.spiffe_id} cannot be used ({error.reason}); look at the log of its SPIFFE Workload"
            " API"
        ) from None
    finally:
        os.close(memory)


class IdentityContexts:
    """The contexts of a source's newest identity, each made once for it."""

    def __init__(self, source: IdentitySource) -> None:
        self._source = source
        self._identity: Identity | None = None
        self._made: dict[Callable[[Identity], ssl.SSLContext], ssl.SSLContext] = {}

    def client(self) -> tuple[Identity, ssl.SSLContext]:
        """The newest identity, and a context for clients. Raises IdentityError."""
        return self._context(client_context)

    def server(self) -> tuple[Identity, ssl.SSLContext]:
        """The newest identity, and a context for servers. Raises IdentityError."""
        return self._context(server_context)

    def _context(self, make: Callable[[Identity], ssl.SSLContext]) -> tuple[Identity, ssl.SSLContext]:
        identity = self._source.identity()
        if identity is not self._identity:
            self._identity, self._made = identity, {}
        if make not in self._made:
            self._made[make] = make(identity)
        return identity, self._made[make]
