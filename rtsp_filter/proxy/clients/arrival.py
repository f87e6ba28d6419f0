"""A new connection, until it is known what it speaks: RTSP, or one half of a tunnel of it. Then it is handed on."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol, cast

import structlog

from rtsp_filter.proxy.clients.connection import ClientConnection, ConnectionHost
from rtsp_filter.proxy.clients.tunnel import Speech, TunnelError, TunnelKey, read_opening, refusal, speech_of
from rtsp_filter.proxy.clients.tunnels import Tunnels
from rtsp_filter.proxy.limits import FIRST_REQUEST_TIMEOUT
from rtsp_filter.proxy.sockets import plain_address, watch_peer
from rtsp_filter.rtsp import StatusCode

log = structlog.get_logger()


class ArrivalHost(ConnectionHost, Protocol):
    """The proxy that connections come to."""

    tunnels: Tunnels

    def admit(self, address: str) -> bool:
        """Count a new connection from `address`; False when there are too many."""


class Arrival(asyncio.Protocol):
    """Waits for the first bytes of a connection. It is counted here, or was before its TLS handshake: then `admitted`
    is the address that it comes from. `made`: who waits for the handshake need not release it any more.
    """

    def __init__(self, host: ArrivalHost, *, admitted: str | None = None) -> None:
        self.made = False
        self._host = host
        self._secure = admitted is not None
        self._address = admitted or ""
        self._counted = self._secure
        self._begin = b""
        self._loop = asyncio.get_running_loop()
        self._request_by = self._loop.time() + FIRST_REQUEST_TIMEOUT
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made = True
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if peer is None:  # it hung up before it was accepted
            self._transport.abort()
            return
        self._address = plain_address(peer[0])
        if not self._counted:
            self._counted = self._host.admit(self._address)
        if not self._counted:
            log.warning("connection refused: too many", client=self._address)
            self._transport.abort()
            return
        sock: socket.socket = transport.get_extra_info("socket")
        watch_peer(sock, max(2, self._host.session_timeout // 2))
        self._timer = self._loop.call_at(self._request_by, self._too_slow)

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._begin += data
        match speech_of(self._begin):
            case Speech.RTSP:
                self._to_client()
            case Speech.HTTP:
                self._to_tunnel()
            case Speech.TLS:
                log.info(
                    "a client speaks TLS where RTSP is expected; rtsps:// has a port of its own (--rtsps)",
                    client=self._address,
                )
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._counted:
            self._host.release(self._address)

    def _to_client(self) -> None:
        client = ClientConnection(self._host, request_by=self._request_by, interleaved_only=self._secure)
        self._hand_on()
        self._transport.set_protocol(client)
        client.connection_made(self._transport)
        client.data_received(self._begin)

    def _to_tunnel(self) -> None:
        try:
            opening = read_opening(self._begin)
            if opening is None:
                return
            key = self._passed_on(opening.ticket) if opening.ticket else self._key(opening.cookie)
            self._host.tunnels.open(key, opening.half, self._transport, self._begin[opening.size :])
        except TunnelError as error:
            log.info("an HTTP request was refused", client=self._address, status=int(error.status), why=str(error))
            self._transport.write(refusal(error))
            self._transport.close()
        else:
            self._hand_on()

    def _key(self, cookie: str) -> TunnelKey:
        return TunnelKey(address=self._address, secure=self._secure, cookie=cookie)

    def _passed_on(self, ticket: str) -> TunnelKey:
        """The tunnel of a POST that another proxy passes on. From now on it counts as its client's connection."""
        key = self._host.tunnels.meetings.key_of(ticket)
        self._host.release(self._address)
        self._address = key.address
        self._counted = self._host.admit(key.address)
        if not self._counted:
            raise TunnelError("this client has too many connections", status=StatusCode.SERVICE_UNAVAILABLE)
        return key

    def _hand_on(self) -> None:
        """Whoever has the connection now also has its count."""
        self._counted = False
        if self._timer is not None:
            self._timer.cancel()

    def _too_slow(self) -> None:
        log.info(
            f"a connection that asked for nothing within {FIRST_REQUEST_TIMEOUT:.0f} s is closed", client=self._address
        )
        self._transport.abort()
