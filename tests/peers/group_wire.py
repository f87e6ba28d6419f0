"""What passes on a network about multicast groups, as a switch would see it.

A program: `python group_wire.py` listens at eth0 to all that passes there, and tells one JSON object a line:
`joined` and `left` groups with the host that says so (IGMPv3, RFC 3376), how many `packets` have gone to each group,
ten times a second while there are any, and groups that have become `quiet`, for a second. `joined` also follows a
question of a router; `left` is said twice, as hosts repeat it. It ends when its standard input does.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time

ETH_P_IP = 0x0800
HEADER = 14
IGMP, UDP = 2, 17
REPORT = 0x22
# Group records by which a host has a group from now on, or has it no more (RFC 3376, section 4.2.12).
JOINS, LEAVES = (2, 4), (1, 3)
TOLD_EVERY = 0.1
QUIET_AFTER = 1.0
# A key frame is hundreds of packets.
BUFFER_BYTES = 4 << 20


def tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def told_by_igmp(host: str, message: bytes) -> None:
    """Records are eight bytes and four for each source; none of these have a source."""
    if message[0] != REPORT:
        return
    (count,) = struct.unpack_from("!H", message, 6)
    at = 8
    for _ in range(count):
        kind, extra, sources = struct.unpack_from("!BBH", message, at)
        group = socket.inet_ntoa(message[at + 4 : at + 8])
        of = [socket.inet_ntoa(message[at + 8 + 4 * n : at + 12 + 4 * n]) for n in range(sources)]
        # A list of no sources that excludes nothing is all; one that includes nothing is none.
        joins = (kind in (2, 4)) or (kind in (1, 3, 5) and sources > 0)
        tell(event="joined" if joins else "left", group=group, host=host, sources=of)
        at += 8 + 4 * (sources + extra)


def main() -> None:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    wire.bind(("eth0", ETH_P_IP))
    packets: dict[str, int] = {}
    latest: dict[str, float] = {}
    told = 0.0
    tell(event="listening")
    while True:
        ready, _, _ = select.select([wire, sys.stdin], [], [], TOLD_EVERY)
        if sys.stdin in ready:
            return
        now = time.monotonic()
        if wire in ready:
            packet = wire.recv(1 << 16)[HEADER:]
            length, protocol = (packet[0] & 15) * 4, packet[9]
            source, group = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
            if protocol == IGMP:
                told_by_igmp(source, packet[length:])
            elif protocol == UDP and 224 <= packet[16] < 240:
                packets[group] = packets.get(group, 0) + 1
                latest[group] = now
        if now - told >= TOLD_EVERY and latest:
            told = now
            tell(event="counted", packets=packets)
            for group in [group for group, when in latest.items() if now - when >= QUIET_AFTER]:
                del latest[group]
                tell(event="quiet", group=group)


if __name__ == "__main__":
    main()
