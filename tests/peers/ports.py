"""Ports for programs under test: whole ranges, aligned to even numbers, that no other test run takes.

A port that the system picks for `bind(0)` can be given to somebody else's outgoing connection before our program
binds it. These come from below the range that the system picks from, in blocks. A block is claimed by binding an
abstract UNIX socket named after it, which the kernel releases when the test run ends, however it ends.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Self

# Above the media ports that a mesh takes by default, below Debian's net.ipv4.ip_local_port_range, from 32768 on.
FIRST_PORT = 24_000
LAST_PORT = 32_000
BLOCK = 64
# Above the range that the system picks from. If it is not told its own, ffmpeg draws the UDP ports of RTSP from all
# between 5000 and 65000, those of a mesh under test among them.
FFMPEG_PORTS = ("-min_port", "61000", "-max_port", "65000")


@dataclass(kw_only=True)
class PortRange:
    """Ports `first` to `last`, both included; `first` is even. Held until closed."""

    first: int
    last: int
    _claims: ExitStack = field(default_factory=ExitStack)
    _next: Iterator[int] = field(init=False)

    def __post_init__(self) -> None:
        self._next = iter(range(self.first, self.last + 1))

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._claims.close()

    def take(self) -> int:
        """The next single port of the range."""
        return next(self._next)


def reserve_ports(count: int = BLOCK) -> PortRange:
    """At least `count` neighbouring ports, free for TCP and UDP at this moment and ours until closed."""
    blocks = -(-count // BLOCK)
    starts = list(range(FIRST_PORT, LAST_PORT - blocks * BLOCK, BLOCK))
    turn = os.getpid() % len(starts)
    for first in starts[turn:] + starts[:turn]:
        with ExitStack() as claims, suppress(OSError):
            for block in range(first, first + blocks * BLOCK, BLOCK):
                claims.enter_context(_claim(block))
            for port in range(first, first + blocks * BLOCK):
                _probe(port)
            return PortRange(first=first, last=first + count - 1, _claims=claims.pop_all())
    raise OSError(f"no {count} neighbouring free ports between {FIRST_PORT} and {LAST_PORT}")


def _claim(block: int) -> socket.socket:
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0msm-test-ports-{block}")
    except OSError:
        claim.close()
        raise
    return claim


def _probe(port: int) -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET6, kind) as probe:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            probe.bind(("::", port))
