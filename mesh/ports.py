"""Which ports are whose: two listeners cannot have one port of one protocol on one address."""

from __future__ import annotations

from collections.abc import Iterable

from mesh.gateways import TransportProtocol

WILDCARDS = {4: "0.0.0.0", 6: "::"}
"""The address that stands for all addresses of an IP version."""


class PortBook:
    """Remembers who has which ports; taking one costs its addresses, however many are taken."""

    def __init__(self) -> None:
        self._owners: dict[tuple[TransportProtocol, int], dict[str, str]] = {}
        self._first_of_family: dict[tuple[TransportProtocol, int, int], str] = {}

    def take(self, protocol: TransportProtocol, port: int, addresses: Iterable[str], owner: str) -> str | None:
        """Who has the port on one of `addresses` already; None when nobody has, and `owner` has it from now on."""
        addresses = tuple(addresses)
        for address in addresses:
            other = self._owner(protocol, port, address)
            if other is not None:
                return other
        for address in addresses:
            self._owners.setdefault((protocol, port), {})[address] = owner
            self._first_of_family.setdefault((protocol, port, family(address)), owner)
        return None

    def _owner(self, protocol: TransportProtocol, port: int, address: str) -> str | None:
        owners, version = self._owners.get((protocol, port), {}), family(address)
        if address == WILDCARDS[version]:
            return self._first_of_family.get((protocol, port, version))
        return owners.get(address) or owners.get(WILDCARDS[version])


def family(address: str) -> int:
    """The IP version of an address: 4 or 6."""
    return 6 if ":" in address else 4
