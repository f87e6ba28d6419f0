"""`host:port`, `first-last` and networks of groups as people write them: read and written in this one place."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import NamedTuple

MAX_PORT = 65535
# Routers pass on nothing of it, and hosts and routers talk to each other there (RFC 5771, section 4).
_OF_PROTOCOLS = ipaddress.IPv4Network("224.0.0.0/24")
_RANGE = re.compile(r"\s*([0-9]{1,5})\s*-\s*([0-9]{1,5})\s*\Z")
# RFC 1123 section 2.1, underscores allowed because resolvers allow them.
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\.?\Z")


class AddressError(ValueError):
    """Text that names no address; the message says how to write one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPort:
    """A TCP address: an IP address or host name, without brackets, and a port; port 0 is "any free one"."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> HostPort:
        """The address that `text` names: 127.0.0.1:8080, [::1]:8080, localhost:8080. Raises AddressError."""
        host, separator, port = text.strip().rpartition(":")
        if not separator or not host:
            raise AddressError(f'"{text}" is not HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080')
        return cls(host=_host(host, text), port=_port(port, text))


class PortRange(NamedTuple):
    """Ports from `first` to `last`, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    @classmethod
    def parse(cls, text: str) -> PortRange:
        """The ports that `text` names, written FIRST-LAST. Raises AddressError."""
        found = _RANGE.match(text)
        if not found:
            raise AddressError(f'"{text}" is not FIRST-LAST, for example 20000-23999')
        return cls(int(found[1]), int(found[2]))


def multicast_groups(text: str) -> ipaddress.IPv4Network:
    """The groups that `text` names: 239.1.2.0/24. Raises AddressError."""
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        raise AddressError(f'"{text}" is no network of IPv4, for example 239.1.2.0/24') from None
    if not network.is_multicast:
        raise AddressError(f"{network} is no network of multicast groups; 239.0.0.0/8 is for private ones")
    if network.overlaps(_OF_PROTOCOLS):
        raise AddressError(f"{_OF_PROTOCOLS} is for the network's own protocols; 239.0.0.0/8 is for private groups")
    return network


def _host(host: str, text: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        return _ipv6(host[1:-1], text)
    if ":" in host:
        raise AddressError(f'"{text}": an IPv6 address goes in brackets, for example [::1]:8080')
    if not _HOST_NAME.match(host) or (host.replace(".", "").isdigit() and not _is_ipv4(host)):
        raise AddressError(f'"{text}": "{host}" is neither an IP address nor a host name')
    return host


def _ipv6(host: str, text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        raise AddressError(f'"{text}": "{host}" is no IPv6 address') from None


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _port(port: str, text: str) -> int:
    if not (port.isascii() and port.isdigit()) or int(port) > MAX_PORT:
        raise AddressError(f'"{text}": "{port}" is not a port from 0 to {MAX_PORT}')
    return int(port)
