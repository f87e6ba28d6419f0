"""Tunnels whose halves reached different proxies: POSTs are passed on to where their GETs are.

A proxy offers each GET that it has, with a random ticket, and seeks the GET of each POST that came without; the control
plane tells those who seek who offers. The POST's bytes then go to the other proxy as they are, on a connection that
names the ticket in place of the cookie. Such a connection is never passed on further. Nothing of this is waited for
where both halves come to one proxy.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import structlog

from rtsp_filter.identity.contexts import unproven_context
from rtsp_filter.proxy.clients.tunnel import TunnelError, TunnelKey, passed_on_head
from rtsp_filter.proxy.limits import CONNECT_TIMEOUT, MAX_PASSED_ON, MAX_PASSED_ON_PER_CLIENT
from rtsp_filter.proxy.sessions.session_host import Host
from rtsp_filter.proxy.sockets import watch_peer
from rtsp_filter.relays import TunnelFound, TunnelOffer
from rtsp_filter.rtsp import StatusCode

log = structlog.get_logger()


class MeetingHost(Host, Protocol):
    """The proxy that halves come to."""

    @property
    def certificate(self) -> bytes:
        """SHA-256 of what this proxy's RTSPS shows (DER); empty where there is none."""

    def release(self, address: str) -> None:
        """A counted connection from `address` is gone, and no client had it."""


class WaitingPost(Protocol):
    """A POST that waits for its GET. `early` is what it has brought."""

    early: bytes

    @property
    def waits(self) -> bool:
        """Whether it still does."""

    def leave(self) -> asyncio.Transport:
        """Wait no more; the connection is the caller's from now on."""


class Meetings:
    """The halves here that may have others at other proxies."""

    def __init__(self, host: MeetingHost) -> None:
        self._host = host
        self._tickets: dict[str, TunnelKey] = {}
        self._offered: dict[TunnelKey, str] = {}
        self._sought: dict[bytes, tuple[TunnelKey, WaitingPost]] = {}
        self.passed_on: Counter[str] = Counter()
        """POSTs of client addresses that this proxy passes on."""

    def offer(self, key: TunnelKey) -> None:
        """A GET has come."""
        ticket = secrets.token_hex(16)
        self._tickets[ticket] = key
        self._offered[key] = ticket
        offer = TunnelOffer(ticket=ticket, certificate=self._host.certificate if key.secure else b"")
        self._host.relays.tunnels.offer(key.name, offer)

    def withdraw(self, key: TunnelKey) -> None:
        """A GET has ended."""
        del self._tickets[self._offered.pop(key)]
        self._host.relays.tunnels.withdraw(key.name)

    def key_of(self, ticket: str) -> TunnelKey:
        """The tunnel whose POST may come with this ticket; its GET is here. Raises TunnelError (403)."""
        key = self._tickets.get(ticket)
        if key is None:
            raise TunnelError("no tunnel here has this ticket", status=StatusCode.FORBIDDEN)
        return key

    def seek(self, key: TunnelKey, post: WaitingPost) -> None:
        """A POST has come without its GET."""
        self._sought[key.name] = key, post
        self._host.relays.tunnels.seek(key.name)

    def give_up(self, key: TunnelKey) -> None:
        """That POST waits no more."""
        del self._sought[key.name]
        self._host.relays.tunnels.give_up(key.name)

    def found(self, found: TunnelFound) -> None:
        """Another proxy has the GET of a POST that waits here, or did."""
        key, post = self._sought.get(found.tunnel, (None, None))
        if key is None or post is None:
            return
        address = key.address
        if self.passed_on.total() >= MAX_PASSED_ON or self.passed_on[address] >= MAX_PASSED_ON_PER_CLIENT:
            log.warning("too many tunnels have halves at different proxies", client=address)
            return
        self.passed_on[address] += 1
        self._host.keep(self._pass_on(address, post, found), f"POST of {address} to another proxy")

    async def _pass_on(self, address: str, post: WaitingPost, found: TunnelFound) -> None:
        joined = False
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                onward = await _connected(found)
            joined = self._joined(address, post, onward, found.ticket)
        except (OSError, TimeoutError) as error:
            log.warning(
                "a tunnel's GET is at another proxy, which cannot be reached; its POST waits in vain",
                client=address,
                proxy=f"{found.address}:{found.port}",
                error=str(error) or f"no answer within {CONNECT_TIMEOUT:.0f} s",
            )
        finally:
            if not joined:
                self._over(address)

    def _joined(self, address: str, post: WaitingPost, onward: asyncio.Transport, ticket: str) -> bool:
        """Whether the POST goes on there; it may have gone, or found its GET here, meanwhile."""
        if not post.waits or onward.is_closing():
            onward.abort()
            return False
        log.debug("a tunnel's POST is passed on", client=address)
        watch_peer(onward.get_extra_info("socket"), max(2, self._host.session_timeout // 2))
        client = post.leave()
        client.set_protocol(_Side(onward, lambda: self._host.release(address)))
        onward.set_protocol(_Side(client, lambda: self._over(address)))
        onward.write(passed_on_head(ticket) + post.early)
        return True

    def _over(self, address: str) -> None:
        self.passed_on[address] -= 1
        if not self.passed_on[address]:
            del self.passed_on[address]


class _Side(asyncio.Protocol):
    """One side of a POST that is passed on: what comes in goes out at the other, and so does its end."""

    def __init__(self, other: asyncio.Transport, on_lost: Callable[[], None]) -> None:
        self._other = other
        self._on_lost = on_lost

    def data_received(self, data: bytes) -> None:
        self._other.write(data)

    def pause_writing(self) -> None:
        if not self._other.is_closing():
            self._other.pause_reading()

    def resume_writing(self) -> None:
        if not self._other.is_closing():
            self._other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._other.close()
        self._on_lost()


async def _connected(found: TunnelFound) -> asyncio.Transport:
    """A connection to the proxy that has a GET: by TLS where that came by TLS. Raises OSError."""
    loop = asyncio.get_running_loop()
    context = unproven_context() if found.certificate else None
    transport, _ = await loop.create_connection(asyncio.Protocol, found.address, found.port, ssl=context)
    if context is not None:
        shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        if hashlib.sha256(shown).digest() != found.certificate:
            transport.abort()
            raise OSError("it shows another certificate than it has told")
    return transport
