"""Datagrams with names: servers that say who they are, flows that count what was answered, and by whom.

A question is a number; the answer is the server's name and the number. A flow is one client port, so one UDP session of
a proxy in between.
"""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Self

LOOPBACK = "127.0.0.1"
LOOPBACK_6 = "::1"
MAX_DATAGRAM = 65_536
# Room for what arrives while the thread waits for a busy machine.
BUFFER_BYTES = 1 << 20
# A datagram that a loaded machine does not answer within this many seconds is lost.
ANSWER_SECONDS = 2.0
# A flow asks every few milliseconds, as games and calls do; not as often as the machine can.
PACE_SECONDS = 0.005
# So many new flows that every worker of an Envoy gets some: a change reaches one worker after the other.
FLOWS_OF_ALL_WORKERS = 16
# How long a thread that should end may go on listening.
POLL_SECONDS = 0.05


class EchoServer:
    """Answers every datagram with its name and the datagram. Runs until left.

    `questions` counts datagrams by the address that they came from, which is the proxy's.
    """

    def __init__(self, name: str, *, address: str = LOOPBACK, port: int = 0) -> None:
        self.name = name
        self.questions: Counter[tuple[str, int]] = Counter()
        self._socket = udp_socket(address, port)
        self._socket.settimeout(POLL_SECONDS)
        self.port: int = self._socket.getsockname()[1]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._answer, name=f"echo server {name}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._socket.close()

    def say(self, address: tuple[str, int], data: bytes) -> None:
        """Send without being asked."""
        self._socket.sendto(data, address)

    def _answer(self) -> None:
        while not self._stopped.is_set():
            try:
                question, address = self._socket.recvfrom(MAX_DATAGRAM)
            except (TimeoutError, ConnectionRefusedError):
                continue
            self.questions[address] += 1
            self._socket.sendto(self.name.encode() + b" " + question, address)


@contextmanager
def echo_servers(*names: str) -> Iterator[list[EchoServer]]:
    """Servers of these names, running."""
    with ExitStack() as stack:
        yield [stack.enter_context(EchoServer(name)) for name in names]


class Flow:
    """A client port that talks to one UDP port."""

    def __init__(self, port: int, *, source: str = LOOPBACK) -> None:
        self._socket = udp_socket(source, 0)
        self._socket.connect((LOOPBACK_6 if ":" in source else LOOPBACK, port))
        self._asked = 0
        self.address: tuple[str, int] = self._socket.getsockname()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def ask(self, *, timeout: float = ANSWER_SECONDS) -> str | None:
        """The name of the server that answers a datagram of now; None when none does within `timeout` seconds."""
        self._asked += 1
        number = b"%d" % self._asked
        self._socket.send(number)
        deadline = monotonic() + timeout
        while (left := deadline - monotonic()) > 0:
            name, _, answered = self._receive(left).partition(b" ")
            if answered == number:
                return name.decode()
        return None

    def receive(self, *, timeout: float = ANSWER_SECONDS) -> bytes:
        """The next datagram, whatever it is; empty when there is none within `timeout` seconds."""
        return self._receive(timeout)

    def _receive(self, timeout: float) -> bytes:
        self._socket.settimeout(timeout)
        try:
            return self._socket.recv(MAX_DATAGRAM)
        except (TimeoutError, ConnectionRefusedError):
            return b""


@contextmanager
def flows(port: int, count: int) -> Iterator[list[Flow]]:
    """Flows to one port, each from a port of its own."""
    with ExitStack() as stack:
        yield [stack.enter_context(Flow(port)) for _ in range(count)]


def answered_by(asked: Sequence[Flow], *, timeout: float = ANSWER_SECONDS) -> list[str | None]:
    """Who answers one datagram of each flow."""
    return [flow.ask(timeout=timeout) for flow in asked]


def shares(port: int, count: int, *, source: str = LOOPBACK) -> Counter[str | None]:
    """How many of as many new flows each server gets."""
    counted: Counter[str | None] = Counter()
    for _ in range(count):
        with Flow(port, source=source) as flow:
            counted[flow.ask()] += 1
    return counted


@dataclass(slots=True, kw_only=True)
class Talk:
    """What became of a flow's questions: by whom they were answered, one after the other, and how many by nobody."""

    answers: list[str] = field(default_factory=list)
    lost: int = 0


class Talker:
    """Flows that ask one question after the other until left; each waits for its answer before the next."""

    def __init__(self, asked: Sequence[Flow]) -> None:
        self.talks = [Talk() for _ in asked]
        self._stopped = threading.Event()
        pairs = zip(asked, self.talks, strict=True)
        self._threads = [threading.Thread(target=self._talk, args=pair, name="talker") for pair in pairs]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def answered(self) -> int:
        """How many questions the quietest flow had answered so far."""
        return min(len(talk.answers) for talk in self.talks)

    def _talk(self, flow: Flow, talk: Talk) -> None:
        while not self._stopped.wait(PACE_SECONDS):
            name = flow.ask()
            if name is None:
                talk.lost += 1
            else:
                talk.answers.append(name)


def udp_socket(address: str, port: int) -> socket.socket:
    """A bound UDP socket with room for bursts."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    try:
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock
