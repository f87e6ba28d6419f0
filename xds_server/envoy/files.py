"""How many files (sockets) a proxy needs, and what it can carry with those that it may open.

| for | files |
| --- | --- |
| Envoy itself: control plane, admin, timers, logs | 512 |
| a listener | one for each worker, because each has a socket of its own (SO_REUSEPORT), and twice that, because an |
| | update holds the old and the new listener's for a moment |
| a UDP session | 1, towards the receiver |
| a TCP connection | 2, one to each side |

A media slot is two listeners (RTP and RTCP) at each address and two UDP sessions. Sessions and connections besides
those are what gateways carry.
"""

from __future__ import annotations

RESERVED_FILES = 512
GATEWAY_LISTENERS = 64
"""Listeners of gateways that the budget counts on: each costs little beside the sessions that it carries."""
MOST_CONNECTIONS = 16_384
"""As many as one listener admits by itself (MediaPolicy's `limits.maxSessions`); whoever needs more says so."""
_DURING_UPDATE = 2
_FLOWS = 2
_SIDES = 2


def files_for(*, slots: int, sessions: int, connections: int, workers: int, addresses: int = 1) -> int:
    """What a proxy needs for so many media slots, and UDP sessions and TCP connections of gateways, at once.

    addresses: of media; one, or two for IPv4 and IPv6.
    """
    gateways = _DURING_UPDATE * GATEWAY_LISTENERS * workers + sessions + _SIDES * connections
    return RESERVED_FILES + slots * _files_of_slot(workers, addresses) + gateways


def connections_within(files: int) -> int:
    """The TCP connections that a proxy admits which may open so many files: half of them, at two files each."""
    return max(1, min(MOST_CONNECTIONS, files // (2 * _SIDES)))


def slots_within(files: int, *, workers: int, addresses: int) -> int:
    """The slots that a media proxy can have which may open so many files and carries no gateway."""
    return max(0, (files - RESERVED_FILES) // _files_of_slot(workers, addresses))


def _files_of_slot(workers: int, addresses: int) -> int:
    return _DURING_UPDATE * _FLOWS * addresses * workers + _FLOWS
