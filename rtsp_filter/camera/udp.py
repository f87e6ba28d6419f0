"""UDP sockets of the camera: one pair of ports for each of its own addresses, shared by all sessions.

Players are told apart by where they are, so a thousand sessions need no more sockets than one.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from rtsp_filter.camera.session import Batch, SocketAddress, UDPTarget
from rtsp_filter.rtsp import Pair
from rtsp_filter.udp_ports import LARGEST_DATAGRAM, open_pair

ReportReceiver = Callable[[bytes, SocketAddress], None]


class PortPair:
    """RTP at an even port, RTCP at the next (RFC 3550, 11), on one local address."""

    def __init__(self, address: SocketAddress, on_report: ReportReceiver) -> None:
        """Bind. Raises OSError when no pair can be had. Needs a running event loop."""
        self._on_report = on_report
        self._rtp, self._rtcp = open_pair(address)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._rtp, self._drain_rtp)
        self._loop.add_reader(self._rtcp, self._read_reports)

    @property
    def ports(self) -> Pair:
        return Pair(self._rtp.getsockname()[1], self._rtcp.getsockname()[1])

    def send(self, target: UDPTarget, batch: Batch) -> None:
        """Send what the system takes at once; the rest is lost, as on any network."""
        try:
            for packet in batch.rtcp:
                self._rtcp.sendto(packet, target.rtcp)
            for packet in batch.rtp:
                self._rtp.sendto(packet, target.rtp)
        except OSError:
            return

    def close(self) -> None:
        for sock in (self._rtp, self._rtcp):
            self._loop.remove_reader(sock)
            sock.close()

    def _drain_rtp(self) -> None:
        """Players send a packet to open their firewall; it says nothing."""
        _receive(self._rtp)

    def _read_reports(self) -> None:
        received = _receive(self._rtcp)
        if received is not None:
            self._on_report(*received)


def _receive(sock: socket.socket) -> tuple[bytes, SocketAddress] | None:
    try:
        return sock.recvfrom(LARGEST_DATAGRAM)
    except OSError:
        return None
