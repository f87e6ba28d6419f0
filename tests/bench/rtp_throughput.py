"""How many packets a second go through one slot of a real Envoy, what they cost, and whether any is lost."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from dataclasses import dataclass

import uvloop

from rtsp_filter.relays import Receiver
from tests.bench.figures import Comparison, Figure, Result, median
from tests.bench.media_plane import HOST, MediaPlane, media_plane
from tests.bench.proc import cpu_seconds
from tests.bench.udp_sender import PACKET_BYTES

# No pace: as fast as the sender's calls return.
_AT_ONCE = 0
# Some fifty cameras of high definition: an ordinary load for one machine.
_STEADY_RATE = 20_000
_SLOTS = 4
_RECEIVE_BUFFER = 8 << 20
# Nothing more comes after this much silence.
_SILENCE_SECONDS = 0.3
_SENDER_STARTS_SECONDS = 10.0
# The receiver looks at the clock this seldom: a look costs as much as a packet.
_PACKETS_PER_LOOK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Packets sent and received in `seconds`, and Envoy's processor seconds."""

    sent: int
    received: int
    seconds: float
    envoy_seconds: float

    @property
    def rate(self) -> float:
        return self.received / self.seconds

    @property
    def lost_percent(self) -> float:
        return 100 * (1 - self.received / self.sent)


def run(quick: bool) -> Result:
    """One flow of packets, direct and through Envoy in turn: at a steady pace, and as fast as it goes."""
    rounds, seconds = (1, 1.0) if quick else (5, 3.0)
    steady, flood = uvloop.run(_measure(rounds, seconds))
    return Result(
        name="rtp",
        title="RTP throughput",
        method=(
            f"Packets of {PACKET_BYTES} bytes from one sender (UDP_SEGMENT, so that it is no limit) to one receiver"
            f" that reads them one by one, direct and through a slot, {rounds} runs of {seconds:g} s each way,"
            f" alternating; medians. Steady: {_STEADY_RATE} packets a second in bursts of up to 50. Flood: as fast as"
            " the sender's calls return, so most packets are dropped; what arrives is the most that passes. Sender,"
            " Envoy and receiver share the machine's processors."
        ),
        figures=(
            Figure(
                what="Steady: lost",
                unit="%",
                direct=median([direct.lost_percent for direct, _ in steady]),
                mesh=median([mesh.lost_percent for _, mesh in steady]),
                comparison=Comparison.DIFFERENCE,
            ),
            Figure(
                what="Steady: packets by processor second of Envoy",
                unit="packets/s",
                mesh=median([mesh.received / mesh.envoy_seconds for _, mesh in steady]),
            ),
            Figure(
                what="Flood: packets received a second",
                unit="packets/s",
                direct=median([direct.rate for direct, _ in flood]),
                mesh=median([mesh.rate for _, mesh in flood]),
                comparison=Comparison.RATIO,
            ),
            Figure(
                what="Flood: packets by processor second of Envoy",
                unit="packets/s",
                mesh=median([mesh.received / mesh.envoy_seconds for _, mesh in flood]),
            ),
        ),
    )


Pairs = list[tuple[_Run, _Run]]


async def _measure(rounds: int, seconds: float) -> tuple[Pairs, Pairs]:
    async with media_plane(_SLOTS) as plane:
        with _udp_socket() as sender, _udp_socket() as receiver:
            course = _Course(plane, sender, receiver, await _open(plane, receiver), seconds)
            steady = [await course.pair(_STEADY_RATE) for _ in range(rounds)]
            flood = [await course.pair(_AT_ONCE) for _ in range(rounds)]
            return steady, flood


def _udp_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    sock.bind((HOST, 0))
    return sock


async def _open(plane: MediaPlane, receiver: socket.socket) -> int:
    """A relay to the socket; gives the port to send to."""
    port = receiver.getsockname()[1]
    relay = plane.relays.open("bench", "video", Receiver(address=HOST, rtp_port=port, rtcp_port=port))
    await relay.ready
    return (await relay.allocated).ingress_port


@dataclass(frozen=True, slots=True)
class _Course:
    """The two ways from `sender` to `receiver`."""

    plane: MediaPlane
    sender: socket.socket
    receiver: socket.socket
    relayed_port: int
    seconds: float

    async def pair(self, rate: int) -> tuple[_Run, _Run]:
        """Both ways, one after the other."""
        return await self._run(self.receiver.getsockname()[1], rate), await self._run(self.relayed_port, rate)

    async def _run(self, port: int, rate: int) -> _Run:
        descriptor = self.sender.fileno()
        numbers = (str(descriptor), str(port), str(rate), str(self.seconds))
        before = cpu_seconds(self.plane.envoy)
        sender = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.udp_sender", *numbers),
            stdout=asyncio.subprocess.PIPE,
            pass_fds=[descriptor],
        )
        received, elapsed = await asyncio.to_thread(_receive, self.receiver)
        sent, _ = await sender.communicate()
        envoy_seconds = cpu_seconds(self.plane.envoy) - before
        return _Run(sent=int(sent), received=received, seconds=elapsed, envoy_seconds=envoy_seconds)


def _receive(sock: socket.socket) -> tuple[int, float]:
    """Count packets from the first on until none come any more; gives how many, and in how many seconds."""
    buffer = bytearray(2 * PACKET_BYTES)
    sock.settimeout(_SENDER_STARTS_SECONDS)
    sock.recv_into(buffer)
    start = last = time.perf_counter()
    received = 1
    sock.settimeout(_SILENCE_SECONDS)
    try:
        while True:
            sock.recv_into(buffer)
            received += 1
            if not received % _PACKETS_PER_LOOK:
                last = time.perf_counter()
    except TimeoutError:
        return received, last - start
