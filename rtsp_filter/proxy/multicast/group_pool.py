"""Multicast groups that this proxy may give its streams, and the ports there.

A group that was given back rests: switches and receivers that have not yet heard of the end of its stream would take
the next one for it. Those that have rested longest come first, after those that were never used.

Pure; time is in seconds of any monotonic clock. Each call is O(1), however large the network is.
"""

from __future__ import annotations

from collections import deque
from ipaddress import IPv4Address, IPv4Network

from rtsp_filter.proxy.limits import GROUP_REST
from rtsp_filter.rtsp import Pair

# Below the ports that systems give to programs of their own accord, so that players find them free. Streams get
# different ones as far as there are any: some receivers do not tell groups of one port apart.
FIRST_PORT = 16384
LAST_PORT = 32767


class GroupPool:
    """The groups of a network."""

    def __init__(self, network: IPv4Network) -> None:
        self.network = network
        self._unused = 0
        self._resting: deque[tuple[float, str]] = deque()  # by end of rest
        self._port = FIRST_PORT

    def take(self, now: float) -> str | None:
        """A group that nobody has; None when all are in use or rest."""
        if self._unused < self.network.num_addresses:
            self._unused += 1
            return str(self.network[self._unused - 1])
        if self._resting and self._resting[0][0] <= now:
            return self._resting.popleft()[1]
        return None

    def give_back(self, group: str, now: float, *, used: bool) -> None:
        """A group has no stream any more. One that nothing was sent to needs no rest."""
        if used:
            self._resting.append((now + GROUP_REST, group))
        else:
            self._resting.appendleft((now, group))

    def has(self, address: str) -> bool:
        """Whether an address is one of these groups."""
        return IPv4Address(address) in self.network

    def ports(self) -> Pair:
        """Ports for one track; every track of a stream gets others."""
        port = self._port
        self._port = port + 2 if port + 2 < LAST_PORT else FIRST_PORT
        return Pair(port, port + 1)
