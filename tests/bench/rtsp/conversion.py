"""What media costs the RTSP proxy where it passes it: TCP to TCP, UDP to TCP and TCP to UDP, against plain copies."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rtsp_filter.player import PlayTransport
from rtsp_filter.rtsp import LowerTransport, Pair
from rtsp_filter.rtsp.frames import FRAME_HEADER_SIZE
from rtsp_filter.udp_ports import BUFFER_BYTES, LARGEST_DATAGRAM, open_pair
from tests.bench.camera import FRAME, PAYLOAD_BYTES, TRACKS, load_camera
from tests.bench.client import Client
from tests.bench.figures import Comparison, Figure, Result, median
from tests.bench.mesh import byte_relay
from tests.bench.proc import RESOLUTION, cpu_seconds
from tests.bench.rtsp.parts import mesh_in_parts
from tests.bench.udp_sender import PACKET_BYTES
from tests.peers.process import Process

_HOST = "127.0.0.1"
# Some fifty cameras of high definition: an ordinary load for one machine.
_RATE = 20_000
_SLOTS = 8
_BITS = 8
# Until windows have opened and the process is warm.
_WARM_UP_SECONDS = 0.3
# The sender starts a process, and goes on a little longer than it is looked at.
_SENDER_MARGIN = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Bytes that arrived in `seconds`, and the processor seconds of the process that passed them on."""

    received: int
    seconds: float
    spent: float
    packet: int

    @property
    def gbit(self) -> float:
        """Gbit by processor second."""
        return self.received * _BITS / self.spent / 1e9

    @property
    def packets(self) -> float:
        """Packets by processor second."""
        return self.received / self.packet / self.spent

    @property
    def delivered(self) -> float:
        """Percent of the steady rate."""
        return 100 * self.received / self.packet / self.seconds / _RATE


Measure = Callable[[], _Run]


def run(quick: bool) -> Result:
    """Each way in turn with a plain copy of the same load."""
    rounds, seconds = (1, 0.4) if quick else (5, 2.0)
    figures: list[Figure] = []
    with _tcp(seconds) as (mesh, copy):
        figures += _figures("TCP to TCP", mesh, copy, rounds, steady=False)
    with _datagram_copy(seconds) as copy:
        with _udp_to_tcp(seconds) as mesh:
            figures += _figures("UDP to TCP", mesh, copy, rounds, steady=True)
        with _tcp_to_udp(seconds) as mesh:
            figures += _figures("TCP to UDP", mesh, copy, rounds, steady=True)
    return Result(
        name="convert",
        title="Media through the RTSP proxy",
        method=(
            "One session whose media passes the RTSP proxy, which is a process of its own: bits and packets by its"
            f" processor seconds, kernel included; {rounds} runs of {seconds:g} s each way, alternating; medians. TCP"
            f" to TCP: frames of {PAYLOAD_BYTES} bytes as fast as the connection takes them, against an asyncio"
            " (uvloop) process that copies bytes and understands nothing. Where one leg is UDP: a camera and a player"
            f" that can only do their own, {_RATE} packets a second in short bursts through the proxy and the media"
            " proxy, against an asyncio (uvloop) process that copies datagrams from one UDP socket to another. TCP to"
            " TCP is bound by the kernel's copying; where the legs differ, by the kernel's call for each datagram and"
            " Python's steps for each frame. A media filter in Envoy is the place for more (docs/design.md)."
        ),
        figures=tuple(figures),
        against="a plain copy",
    )


def _figures(label: str, mesh: Measure, copy: Measure, rounds: int, *, steady: bool) -> list[Figure]:
    pairs = [(copy(), mesh()) for _ in range(rounds)]

    def figure(what: str, unit: str, value: Callable[[_Run], float]) -> Figure:
        return Figure(
            what=f"{label}: {what}",
            unit=unit,
            direct=median([value(copied) for copied, _ in pairs]),
            mesh=median([value(passed) for _, passed in pairs]),
            comparison=Comparison.RATIO,
        )

    return [
        figure("bits", "Gbit/s a core", lambda run: run.gbit),
        figure("packets", "packets by processor second", lambda run: run.packets),
        *([figure("delivered", "% of what was sent", lambda run: run.delivered)] if steady else []),
    ]


@contextmanager
def _tcp(seconds: float) -> Iterator[tuple[Measure, Measure]]:
    """TCP to TCP, through the mesh and through a byte copy."""
    with load_camera() as (url, _), mesh_in_parts(url, slots=_SLOTS) as parts, byte_relay(url) as (relay, relay_pid):
        yield lambda: _play_tcp(parts.url, parts.proxy, seconds), lambda: _play_tcp(relay, relay_pid, seconds)


def _play_tcp(url: str, pid: int, seconds: float) -> _Run:
    with Client(url, PlayTransport.TCP) as client:
        client.play()
        return _measured(client.receive, pid, seconds, len(FRAME))


@contextmanager
def _udp_to_tcp(seconds: float) -> Iterator[Measure]:
    """A camera of UDP, whose packets the usual sender sends, and a player of TCP."""
    with (
        load_camera(only=LowerTransport.UDP) as (url, _),
        mesh_in_parts(url, slots=_SLOTS) as parts,
        Client(parts.url, PlayTransport.TCP) as client,
        _udp_sender_socket() as sock,
    ):
        client.play()
        video = next(relay for relay in parts.mesh.items("/v1/relays") if relay["media"] == "video")
        port = video["ingress"]["rtp"]

        def measure() -> _Run:
            with _sending(sock, port, seconds):
                return _measured(client.receive, parts.proxy, seconds, PACKET_BYTES + FRAME_HEADER_SIZE)

        yield measure


@contextmanager
def _tcp_to_udp(seconds: float) -> Iterator[Measure]:
    """A camera of TCP, and a player of UDP."""
    with load_camera(pace=_RATE, only=LowerTransport.TCP) as (url, _), mesh_in_parts(url, slots=_SLOTS) as parts:

        def measure() -> _Run:
            pairs = [open_pair((_HOST, 0)) for _ in range(TRACKS)]
            ports = [Pair(rtp.getsockname()[1], rtcp.getsockname()[1]) for rtp, rtcp in pairs]
            try:
                with Client(parts.url, PlayTransport.UDP, ports=ports) as client:
                    client.play()
                    measured = _measured(_receiver(pairs[0][0]), parts.proxy, seconds, PAYLOAD_BYTES)
                    client.teardown()  # it would be waited for otherwise, and its camera would send on
                    return measured
            finally:
                for sock in (sock for pair in pairs for sock in pair):
                    sock.close()

        yield measure


@contextmanager
def _datagram_copy(seconds: float) -> Iterator[Measure]:
    """UDP to UDP by a process that understands nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, _udp_sender_socket() as sock:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        receiver.bind((_HOST, 0))
        argv = [sys.executable, "-m", "tests.bench.rtsp.datagram_copy", str(receiver.getsockname()[1])]
        with Process(argv) as process:
            port = int(process.wait_for_line(r"^(\d+)$")[1])

            def measure() -> _Run:
                with _sending(sock, port, seconds):
                    return _measured(_receiver(receiver), process.pid, seconds, PACKET_BYTES)

            yield measure


def _receiver(sock: socket.socket) -> Callable[[], int]:
    buffer = bytearray(LARGEST_DATAGRAM)
    sock.setblocking(True)
    sock.settimeout(_SENDER_MARGIN)
    return lambda: sock.recv_into(buffer)


def _udp_sender_socket() -> socket.socket:
    """Bound once: a slot serves one sender."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((_HOST, 0))
    return sock


@contextmanager
def _sending(sock: socket.socket, port: int, seconds: float) -> Iterator[None]:
    """Packets at the steady rate for as long as somebody looks."""
    descriptor = sock.fileno()
    lasts = str(seconds + _SENDER_MARGIN)
    argv = [sys.executable, "-m", "tests.bench.udp_sender", str(descriptor), str(port), str(_RATE), lasts]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, pass_fds=[descriptor]) as sender:
        try:
            yield
        finally:
            sender.kill()


def _measured(receive: Callable[[], int], pid: int, seconds: float, packet: int) -> _Run:
    """What arrives in so many seconds, once something has arrived and everything is warm."""
    receive()
    _count(receive, _WARM_UP_SECONDS)
    before, start = cpu_seconds(pid), time.perf_counter()
    received = _count(receive, seconds)
    spent, elapsed = max(cpu_seconds(pid) - before, RESOLUTION), time.perf_counter() - start
    return _Run(received=received, seconds=elapsed, spent=spent, packet=packet)


def _count(receive: Callable[[], int], seconds: float) -> int:
    received = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        received += receive()
    return received
