"""A small game over UDP in the manner of netcode.io: cookie handshake, numbered packets both ways, timeouts.

The servers of a fleet share a key, as netcode's do, so a cookie that one has given is good at all of them: a player
whose packets suddenly reach another server plays on there without a new handshake. That is what a session needs to
survive a move. Every input is answered by a state with the server's own number and name.
"""

from __future__ import annotations

import hmac
import secrets
import struct
import threading
from dataclasses import dataclass
from enum import IntEnum
from time import monotonic
from typing import Self

from tests.peers.udp_echo import LOOPBACK, MAX_DATAGRAM, POLL_SECONDS, udp_socket

# A server forgets a player, and a player gives its server up, after this many seconds without a packet.
TIMEOUT_SECONDS = 5.0
# A datagram that was not answered is sent again after this long.
REPEAT_SECONDS = 0.25
COOKIE_BYTES = 16
_PLAYER = struct.Struct(f"!BQ{COOKIE_BYTES}sQ")


class Kind(IntEnum):
    """The first byte of a packet."""

    REQUEST = 1
    CHALLENGE = 2
    RESPONSE = 3
    ACCEPTED = 4
    INPUT = 5
    STATE = 6


_ANSWERS = {Kind.REQUEST: Kind.CHALLENGE, Kind.RESPONSE: Kind.ACCEPTED, Kind.INPUT: Kind.STATE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A packet. `number` counts the player's inputs; `text` is the server's name."""

    kind: Kind
    player: int
    cookie: bytes = bytes(COOKIE_BYTES)
    number: int = 0
    text: str = ""

    @classmethod
    def parse(cls, data: bytes) -> Packet:
        """Raises ValueError for what is no packet."""
        if len(data) < _PLAYER.size:
            raise ValueError("too short")
        kind, player, cookie, number = _PLAYER.unpack_from(data)
        return cls(kind=Kind(kind), player=player, cookie=cookie, number=number, text=data[_PLAYER.size :].decode())

    def encode(self) -> bytes:
        return _PLAYER.pack(self.kind, self.player, self.cookie, self.number) + self.text.encode()


class GameCore:
    """A server's rules: what it answers to a packet at the time `now`."""

    def __init__(self, name: str, key: bytes) -> None:
        self.handshakes = 0
        self.adopted = 0
        self._name = name
        self._key = key
        self._heard: dict[int, float] = {}

    def players(self, now: float) -> int:
        """How many were heard within the timeout."""
        return sum(now - heard < TIMEOUT_SECONDS for heard in self._heard.values())

    def answer(self, packet: Packet, now: float) -> Packet | None:
        """None for a packet of somebody without a cookie of this fleet."""
        kind = _ANSWERS.get(packet.kind)
        cookie = hmac.digest(self._key, packet.player.to_bytes(8, "big"), "sha256")[:COOKIE_BYTES]
        if kind is None or (kind is not Kind.CHALLENGE and not hmac.compare_digest(packet.cookie, cookie)):
            return None
        if kind is not Kind.CHALLENGE:
            self._greet(packet, now)
        return Packet(kind=kind, player=packet.player, cookie=cookie, number=packet.number, text=self._name)

    def _greet(self, packet: Packet, now: float) -> None:
        if now - self._heard.get(packet.player, -TIMEOUT_SECONDS) >= TIMEOUT_SECONDS:
            self.handshakes += packet.kind is Kind.RESPONSE
            self.adopted += packet.kind is Kind.INPUT
        self._heard[packet.player] = now


class GameServer:
    """A server of the fleet with this key, on a thread."""

    def __init__(self, name: str, key: bytes) -> None:
        self.core = GameCore(name, key)
        self._socket = udp_socket(LOOPBACK, 0)
        self._socket.settimeout(POLL_SECONDS)
        self.port: int = self._socket.getsockname()[1]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"game server {name}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                data, address = self._socket.recvfrom(MAX_DATAGRAM)
                answer = self.core.answer(Packet.parse(data), monotonic())
            except (TimeoutError, ConnectionRefusedError, ValueError):
                continue
            if answer is not None:
                self._socket.sendto(answer.encode(), address)


class GamePlayer:
    """A player. `repeats` counts packets that had to be sent again."""

    def __init__(self, port: int) -> None:
        self.repeats = 0
        self._id = secrets.randbits(63)
        self._cookie = bytes(COOKIE_BYTES)
        self._number = 0
        self._socket = udp_socket(LOOPBACK, 0)
        self._socket.connect((LOOPBACK, port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def join(self) -> str:
        """The handshake; the name of the server. Raises ConnectionResetError when nobody answers."""
        self._cookie = self._exchange(Kind.REQUEST).cookie
        return self._exchange(Kind.RESPONSE).text

    def play(self) -> str:
        """The name of the server that has taken the next input. Raises ConnectionResetError when none does."""
        self._number += 1
        return self._exchange(Kind.INPUT).text

    def _exchange(self, kind: Kind) -> Packet:
        packet = Packet(kind=kind, player=self._id, cookie=self._cookie, number=self._number)
        deadline = monotonic() + TIMEOUT_SECONDS
        self._socket.send(packet.encode())
        while monotonic() < deadline:
            answer = self._receive()
            if answer is None:
                self.repeats += 1
                self._socket.send(packet.encode())
            elif answer.kind is _ANSWERS[kind] and answer.number == packet.number:
                return answer
        raise ConnectionResetError(f"no answer to {kind.name} within {TIMEOUT_SECONDS:g} s")

    def _receive(self) -> Packet | None:
        self._socket.settimeout(REPEAT_SECONDS)
        try:
            return Packet.parse(self._socket.recv(MAX_DATAGRAM))
        except (TimeoutError, ConnectionRefusedError):
            return None
