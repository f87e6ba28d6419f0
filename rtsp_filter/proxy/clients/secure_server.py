"""Accepts TLS connections (RTSPS: RFC 7826, section 19) and hands them on once their handshakes are done.

Connections are counted before their handshakes, which are the costliest thing that a stranger can ask for, and each
gets the context that is the newest when it comes.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

import structlog

from rtsp_filter.proxy.clients.arrival import Arrival, ArrivalHost
from rtsp_filter.proxy.limits import HANDSHAKE_TIMEOUT, TLS_CLOSE_TIMEOUT
from rtsp_filter.proxy.sockets import plain_address

# Seconds until accepting is tried again after the kernel refused it, most likely for want of files.
_ACCEPT_AGAIN = 0.5
# What OpenSSL calls the first bytes of a client that does not speak TLS.
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST")

log = structlog.get_logger()


async def serve_tls(sock: socket.socket, host: ArrivalHost, context: Callable[[], ssl.SSLContext]) -> None:
    """Accept at a listening socket until cancelled."""
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as handshakes:
        while True:
            try:
                connection, peer = await loop.sock_accept(sock)
            except OSError as error:
                log.error("a TLS connection cannot be accepted", error=error.strerror or str(error))
                await asyncio.sleep(_ACCEPT_AGAIN)
                continue
            address = plain_address(peer[0])
            if host.admit(address):
                handshakes.create_task(_secure(connection, address, host, context()), name=f"TLS with {address}")
            else:
                log.warning("connection refused: too many", client=address)
                connection.close()


async def _secure(connection: socket.socket, address: str, host: ArrivalHost, context: ssl.SSLContext) -> None:
    """Do the handshake of an admitted connection. Whatever becomes of it, its count is given back once."""
    arrival = Arrival(host, admitted=address)
    try:
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: arrival,
            connection,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
            ssl_shutdown_timeout=TLS_CLOSE_TIMEOUT,
        )
    except OSError as error:
        log.info("a client's TLS handshake failed", client=address, error=_reason(error))
    finally:
        if not arrival.made:
            host.release(address)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        if error.reason in _NOT_TLS:
            return "it does not speak TLS; rtsp:// and http:// have a port of their own (--rtsp)"
        return error.reason or str(error)
    return error.strerror or str(error) or type(error).__name__
