"""Packets that the kernel hands over joined (UDP_GRO), as network cards and senders with UDP_SEGMENT make it do."""

from __future__ import annotations

import asyncio
import socket

import pytest

from rtsp_filter.relays import Receiver
from tests.bench.media_plane import HOST, media_plane

UDP_SEGMENT = 103  # from udp(7)
PACKETS, PACKET_BYTES = 40, 1400
SECONDS = 5.0

pytestmark = pytest.mark.integration


async def test_packets_that_arrive_joined_leave_as_they_were_sent() -> None:
    packets = [bytes([number]) * PACKET_BYTES for number in range(PACKETS)]
    async with media_plane(1) as plane:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, _receiver() as receiver:
            port = receiver.getsockname()[1]
            relay = plane.relays.open("session", "video", Receiver(address=HOST, rtp_port=port, rtcp_port=port))
            await relay.ready
            sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, PACKET_BYTES)
            sender.sendto(b"".join(packets), (HOST, (await relay.allocated).ingress_port))
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(SECONDS):
                assert [await loop.sock_recv(receiver, 65536) for _ in packets] == packets


def _receiver() -> socket.socket:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind((HOST, 0))
    receiver.setblocking(False)
    return receiver
