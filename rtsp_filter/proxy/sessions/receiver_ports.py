"""Which session's media goes to which UDP port of a client's address.

Two clients behind one address that name the same port would get each other's media, so a port is one session's.
"""

from __future__ import annotations

from typing import Protocol

from rtsp_filter.rtsp import TransportError


class PortOwner(Protocol):
    """A session, as far as its ports go. `deserted`: no connection speaks for it any more."""

    @property
    def client_address(self) -> str:
        """Where its media goes."""

    @property
    def deserted(self) -> bool:
        """Whether it may give way."""

    def give_way(self, reason: str) -> None:
        """Somebody else takes its ports."""


class ReceiverPorts:
    """Of all sessions of a proxy; each call costs O(ports of the session)."""

    def __init__(self) -> None:
        self._owners: dict[tuple[str, int], PortOwner] = {}
        self._ports: dict[PortOwner, set[int]] = {}

    def claim(self, owner: PortOwner, port: int) -> None:
        """A session wants media at a port of its client. One that has it and is deserted gives way; another one is left
        alone. Raises TransportError then."""
        receiver = owner.client_address, port
        other = self._owners.get(receiver)
        if other is not None and other is not owner:
            if not other.deserted:
                raise TransportError(
                    f"another session of {owner.client_address} has its media sent to UDP port {port}; use TCP"
                )
            other.give_way("a new session of its client takes its ports")
        self._owners[receiver] = owner
        self._ports.setdefault(owner, set()).add(port)

    def free(self, owner: PortOwner) -> None:
        """A session needs its ports no more."""
        for port in self._ports.pop(owner, ()):
            receiver = owner.client_address, port
            if self._owners.get(receiver) is owner:
                del self._owners[receiver]

    def __len__(self) -> int:
        return len(self._owners)

    def owners(self) -> frozenset[PortOwner]:
        """Sessions that have ports."""
        return frozenset(self._owners.values())
