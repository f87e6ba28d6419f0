"""Which RTSP proxy has which half of a tunnel (RTSP over HTTP), so that halves at two proxies find each other. Pure.

Proxies offer the GETs that they have, and seek the GETs of POSTs that came without. A tunnel goes by a hash, which only
proxies that have one of its halves can make. All of a proxy is forgotten with its stream; it states it again.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from mesh.wire import relay_pb2

# Halves of one proxy: more than it accepts connections. Those beyond find only what is at their own proxy.
MAX_HALVES_OF_PROXY = 16384
# Halves of all proxies: some 50 MB of memory.
MAX_HALVES = 131072


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An address and TCP port where proxies reach another."""

    address: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a proxy is reached in the clear, and by TLS; None: nowhere."""

    plain: Place | None
    secure: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The GET of a tunnel that a proxy seeks is at another one."""

    tunnel: bytes
    place: Place
    ticket: str
    certificate: bytes


class TunnelRegistry:
    """Halves of tunnels by proxy. `messages`: what is to be told to whom."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Found]] = []
        self._places: dict[str, Places] = {}
        self._offers: dict[bytes, dict[str, relay_pb2.TunnelOffer]] = {}  # by proxy, the latest last
        self._seekers: dict[bytes, dict[str, None]] = {}
        self._counts: Counter[str] = Counter()

    def proxy_connected(self, owner: str, places: Places) -> None:
        """A proxy begins to tell; nothing that it told before holds."""
        self.proxy_lost(owner)
        self._places[owner] = places

    def proxy_lost(self, owner: str) -> None:
        """A proxy's stream has ended."""
        self._places.pop(owner, None)
        halves: dict[bytes, dict[str, Any]]
        for halves in (self._offers, self._seekers):
            for tunnel in [tunnel for tunnel, owners in halves.items() if owner in owners]:
                self._drop(halves, tunnel, owner)
        del self._counts[owner]

    def report(self, owner: str, report: relay_pb2.TunnelReport) -> bool:
        """A connected proxy tells what has changed; False where some of it was too much."""
        for tunnel in report.withdrawn:
            self._drop(self._offers, tunnel, owner)
        for tunnel in report.given_up:
            self._drop(self._seekers, tunnel, owner)
        offered = [self._offer(owner, offer) for offer in report.offered]
        sought = [self._seek(owner, tunnel) for tunnel in report.sought]
        return all(offered) and all(sought)

    def take_messages(self) -> list[tuple[str, Found]]:
        """What to tell, each with the proxy that it is for."""
        messages, self.messages = self.messages, []
        return messages

    def _offer(self, owner: str, offer: relay_pb2.TunnelOffer) -> bool:
        self._drop(self._offers, offer.tunnel, owner)
        if not self._has_room(owner):
            return False
        self._counts[owner] += 1
        self._offers.setdefault(offer.tunnel, {})[owner] = offer
        for seeker in list(self._seekers.get(offer.tunnel, ())):
            if self._tell(seeker, owner, offer):
                self._drop(self._seekers, offer.tunnel, seeker)
        return True

    def _seek(self, owner: str, tunnel: bytes) -> bool:
        for holder, offer in reversed(self._offers.get(tunnel, {}).items()):
            if self._tell(owner, holder, offer):
                return True
        if not self._has_room(owner):
            return False
        if owner not in self._seekers.setdefault(tunnel, {}):
            self._counts[owner] += 1
            self._seekers[tunnel][owner] = None
        return True

    def _tell(self, seeker: str, holder: str, offer: relay_pb2.TunnelOffer) -> bool:
        """Whether the seeker can be told of an offer: it is another's, who can be reached."""
        places = self._places[holder]
        place = places.secure if offer.certificate else places.plain
        if place is None or seeker == holder:
            return False
        found = Found(tunnel=offer.tunnel, place=place, ticket=offer.ticket, certificate=offer.certificate)
        self.messages.append((seeker, found))
        return True

    def _has_room(self, owner: str) -> bool:
        return self._counts[owner] < MAX_HALVES_OF_PROXY and self._counts.total() < MAX_HALVES

    def _drop(self, halves: dict[bytes, dict[str, Any]], tunnel: bytes, owner: str) -> None:
        owners = halves.get(tunnel)
        if owners is None or owner not in owners:
            return
        del owners[owner]
        self._counts[owner] -= 1
        if not owners:
            del halves[tunnel]


def places_of(state: relay_pb2.State, peer: str) -> Places:
    """Where a proxy is reached whose stream comes from `peer`, in gRPC's words (`ipv4:192.0.2.1:40000`)."""
    return Places(
        plain=_place(state.rtsp, peer) if state.HasField("rtsp") else None,
        secure=_place(state.rtsps, peer) if state.HasField("rtsps") else None,
    )


def _place(listens: relay_pb2.ListenAddress, peer: str) -> Place | None:
    """An address that is told stands for itself, a wildcard for where the proxy comes from."""
    if not 0 < listens.port < 65536:
        return None
    for text in (listens.address, _host(peer)):
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return None
        if not address.is_unspecified:
            return Place(address=str(address), port=listens.port)
    return None


def _host(peer: str) -> str:
    """The address of a peer. An IPv6 one has brackets, which may be escaped."""
    host = unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")
    return host.removeprefix("::ffff:") if "." in host else host
