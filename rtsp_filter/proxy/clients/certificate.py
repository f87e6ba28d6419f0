"""The certificate that RTSPS connections are shown: two files, read again when they change.

Whoever renews certificates replaces two files, not both in the same moment; so a change counts once the files have
rested for a look. What cannot be used leaves the certificate that was there. Connections that are open keep theirs:
a new certificate is a new `ssl.SSLContext`, for the connections that follow.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import structlog

from rtsp_filter.identity.contexts import unproven_context

# Certificates are renewed days before they end; people who replace one by hand wait for the log line.
LOOK_SECONDS = 2.0
# Turns of each side in a handshake: the client has the last of the most, with TLS 1.2 (RFC 5246, section 7.3).
_TURNS = 3

# Of each file: when it was changed, which one it is, how long it is; None where there is none.
_Stamp = tuple[tuple[int, int, int] | None, ...]

log = structlog.get_logger()


class CertificateError(OSError):
    """Files that make no certificate; the message names the file, and what to do."""


def server_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """A context for servers, from a PEM file with the certificate and those above it, and one with its private key
    (None: the same file). TLS 1.2 and later (RFC 7826, section 19.2, as RFC 8996 has it now).

    Raises CertificateError.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Each renegotiation costs a server far more than the client that asks for it; nobody needs one.
    context.options |= ssl.OP_NO_RENEGOTIATION
    holder = key or certificate
    for path in {certificate, holder}:
        _check_readable(path)
    with _explained(certificate, holder):
        context.load_cert_chain(certificate, key, password=lambda: _refuse_password(holder))
    return context


def _check_readable(path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}; the RTSPS listener needs it") from error


def _refuse_password(key: Path) -> NoReturn:
    raise CertificateError(
        f"{key}: the private key is encrypted; give it without a password (openssl pkey -in … -out …)"
    )


@contextmanager
def _explained(certificate: Path, key: Path) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateError(f"{key}: this is not the private key of {certificate}") from error
        why = f" ({error.reason})" if error.reason else ""
        raise CertificateError(
            f"{certificate}, {key}: not a certificate with its private key in PEM{why}; the first certificate must be"
            " the server's own"
        ) from error


def fingerprint(context: ssl.SSLContext) -> bytes:
    """SHA-256 of the certificate (DER) that a server with this context shows, as a client is shown it."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = unproven_context().wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server) * _TURNS:
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return hashlib.sha256(client.getpeercert(binary_form=True) or b"").digest()


class CertificateFiles:
    """The newest usable context of two files, and the `fingerprint` of its certificate; `run` follows them."""

    def __init__(self, certificate: Path, key: Path | None) -> None:
        """Raises CertificateError: at the start there is no older one to go on with."""
        self._certificate = certificate
        self._key = key
        self._loaded = self._stamp()
        self._seen = self._loaded
        self._load()

    async def run(self) -> None:
        """Look after the files until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Take a change that has rested since the last look."""
        stamp = self._stamp()
        rested, self._seen = stamp == self._seen, stamp
        if not rested or stamp == self._loaded:
            return
        self._loaded = stamp
        try:
            self._load()
        except CertificateError as error:
            log.error("the new RTSPS certificate cannot be used; the one before stays", error=str(error))
        else:
            log.info("new RTSPS certificate", certificate=str(self._certificate))

    def _load(self) -> None:
        self.context = server_context(self._certificate, self._key)
        self.fingerprint = fingerprint(self.context)

    def _stamp(self) -> _Stamp:
        return tuple(_stamp_of(path) for path in (self._certificate, self._key or self._certificate))


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
