"""A sender of UDP packets that is cheap enough to be no limit: many packets a call, by UDP_SEGMENT (udp(7)).

Run as `python -m tests.bench.udp_sender FD PORT RATE SECONDS`: an inherited UDP socket, packets a second (0: as fast
as it goes); prints how many it sent. The socket is the caller's because a slot serves one sender: a later run from
another port would be refused for as long as the first may still be there.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time

PACKET_BYTES = 1200
_UDP_SEGMENT = 103
# As many as fit a datagram of 64 KiB.
_PACKETS_PER_CALL = 50
# With a pace: short bursts, as of the slices of a picture.
_PACKETS_PER_BURST = 20
_SEND_BUFFER = 4 << 20


def send(sock: socket.socket, port: int, rate: int, seconds: float) -> int:
    """Send for so long; gives how many packets."""
    burst = _PACKETS_PER_BURST if rate else _PACKETS_PER_CALL
    payload = bytes(PACKET_BYTES * burst)
    sent = 0
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    sock.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, PACKET_BYTES)
    start = time.perf_counter()
    while (now := time.perf_counter() - start) < seconds:
        if rate and sent > now * rate:
            time.sleep((sent - now * rate) / rate)
            continue
        with contextlib.suppress(ConnectionRefusedError):
            sock.sendto(payload, ("127.0.0.1", port))
        sent += burst
    return sent


def main() -> None:
    descriptor, port, rate, seconds = sys.argv[1:]
    with socket.socket(fileno=int(descriptor)) as sock:
        print(send(sock, int(port), int(rate), float(seconds)))


if __name__ == "__main__":
    main()
