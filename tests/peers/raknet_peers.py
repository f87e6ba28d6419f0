"""Players and servers of a game that talks RakNet (the real library, by its Python binding).

A player connects (RakNet's own handshake: two offline requests, then a reliable one), says numbers in reliable, ordered
packets and gets them back with the server's name. RakNet repeats what is lost, keeps quiet connections alive and
declares a peer lost that is silent for its timeout. RakNet runs on threads of its own and has to be asked for packets.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, Self

from raknet import MessageIdentifiers as Id
from raknet import PacketPriority, PacketReliability, RakPeer

LOOPBACK = "127.0.0.1"
MAX_PLAYERS = 64
# RakNet asks a silent peer for a sign of life and gives up after this long; its own default is ten seconds.
TIMEOUT_MS = 1500
CONNECT_ATTEMPTS = 10
ATTEMPT_MS = 300
POLL_SECONDS = 0.005
# A loaded machine connects or answers within this many seconds; more than the timeout above.
WAIT_SECONDS = 15.0
_GONE = {Id.ID_DISCONNECTION_NOTIFICATION, Id.ID_CONNECTION_LOST, Id.ID_CONNECTION_ATTEMPT_FAILED}


class RakNetServer:
    """Answers each packet with its name and the packet. `joined` and `left` count players."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.joined = 0
        self.left = 0
        self._peer = RakPeer()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"RakNet server {name}")
        self._peer.startup(LOOPBACK, 0, max_connections=MAX_PLAYERS)
        self._peer.max_incoming_connections = MAX_PLAYERS
        self.port: int = self._peer.get_bound_address().port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._peer.shutdown(0)

    def _serve(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            while (packet := self._peer.receive()) is not None:
                self._answer(packet)

    def _answer(self, packet: Any) -> None:
        kind = packet.data[0]
        if kind == Id.ID_NEW_INCOMING_CONNECTION:
            self.joined += 1
        elif kind in _GONE:
            self.left += 1
        elif kind == Id.ID_USER_PACKET_ENUM:
            _send(self._peer, self.name.encode() + b" " + packet.data[1:], packet.system_address)


class RakNetPlayer:
    """A client. It keeps its port from one connection to the next, as games do."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._peer = RakPeer()
        self._server: Any = None
        self._said = 0

    def __enter__(self) -> Self:
        self._peer.startup(LOOPBACK, 0, 1)
        return self

    def __exit__(self, *_: object) -> None:
        self._peer.shutdown(0)

    def connect(self) -> None:
        """Connect. Raises AssertionError when nobody lets it in."""
        self._peer.connect(LOOPBACK, self._port, CONNECT_ATTEMPTS, ATTEMPT_MS, TIMEOUT_MS)
        accepted = self._wait(lambda data: data[0] == Id.ID_CONNECTION_REQUEST_ACCEPTED, "a connection")
        self._server = accepted.system_address

    def say(self) -> str:
        """The name of the server that answers the next number. Raises ConnectionResetError when the server is lost."""
        self._said += 1
        number = b"%d" % self._said
        _send(self._peer, number, self._server)
        answer = self._wait(lambda data: data.endswith(b" " + number), f"an answer to {self._said}")
        name: bytes = answer.data[1:].partition(b" ")[0]
        return name.decode()

    def _wait(self, wanted: Callable[[bytes], bool], what: str) -> Any:
        deadline, pause = monotonic() + WAIT_SECONDS, threading.Event()
        while monotonic() < deadline:
            packet = self._peer.receive()
            if packet is None:
                pause.wait(POLL_SECONDS)
            elif packet.data[0] in _GONE:
                raise ConnectionResetError(f"the server was lost before {what}")
            elif wanted(packet.data):
                return packet
        raise AssertionError(f"{what} did not come within {WAIT_SECONDS:g} s")


def _send(peer: Any, data: bytes, to: Any) -> None:
    packet = bytes([Id.ID_USER_PACKET_ENUM]) + data
    peer.send(packet, PacketPriority.IMMEDIATE_PRIORITY, PacketReliability.RELIABLE_ORDERED, 0, to)
