"""What a session that plays, and a connection that does nothing, add to the memory of the RTSP proxy."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rtsp_filter.player import PlayTransport
from rtsp_filter.rtsp import RTSPURL, Method, Pair, Request
from rtsp_filter.rtsp.headers import Headers
from tests.bench.camera import TRACKS, load_camera
from tests.bench.client import Client
from tests.bench.figures import Figure, Goal, Result
from tests.bench.proc import memory_bytes
from tests.bench.rtsp.parts import Parts, mesh_in_parts

GOAL_KIB = 66.0
_KIB = 1024
# To every session, so that buffers and pools of media are in use.
_FRAMES_A_SECOND = 10.0
# Some frames have passed through every session.
_PLAY_SECONDS = 1.0
_FIRST_PORT = 33_000
# Granted ahead, or kept free for whoever has no grant; all slots find ports beside those of the camera.
_SPARE_SLOTS = 64


def run(quick: bool) -> Result:
    """Sessions over TCP that play, sessions over UDP, connections that have asked, and that never did."""
    # The first make Python and the allocators take what all share, and are not counted.
    base, count = (5, 10) if quick else (50, 400)
    figures = []
    with load_camera(pace=_FRAMES_A_SECOND) as (url, _):
        for transport in PlayTransport:
            slots = TRACKS * (base + count) + _SPARE_SLOTS if transport is PlayTransport.UDP else TRACKS
            with mesh_in_parts(url, slots=slots) as parts, _clients(parts, transport) as play:
                grown = _grown(parts.proxy, play, base, count)
            what, goal = f"A session that plays, {transport.value.upper()}", Goal(at_most=GOAL_KIB)
            figures.append(Figure(what=what, unit="KiB", mesh=grown, goal=goal))
        for what, asks in (("A connection that asked for OPTIONS", True), ("A connection that never asked", False)):
            with mesh_in_parts(url, slots=TRACKS) as parts, _connections(parts.url, asks) as connect:
                grown = _grown(parts.proxy, connect, base, count)
            figures.append(Figure(what=what, unit="KiB", mesh=grown))
    return Result(
        name="footprint",
        title="Memory of a session and of a connection",
        method=(
            f"What {count} sessions of {TRACKS} tracks, or as many connections, add to the RTSP proxy's process (Pss),"
            f" after {base} others. Over TCP each session carries {_FRAMES_A_SECOND:g} frames a second, which are"
            " read; over UDP media does not touch the proxy. What the kernel has for sockets is not in it."
        ),
        figures=tuple(figures),
    )


Add = Callable[[int], None]
"""Makes so many more."""


def _grown(pid: int, add: Add, base: int, count: int) -> float:
    """KiB by each of `count`, after `base` others."""
    add(base)
    before = memory_bytes(pid)
    add(count)
    return (memory_bytes(pid) - before) / count / _KIB


@contextmanager
def _clients(parts: Parts, transport: PlayTransport) -> Iterator[Add]:
    """Sessions, whose media is read by a thread and not looked at."""
    selector = selectors.DefaultSelector()
    over = threading.Event()
    with ExitStack() as stack:

        def play(count: int) -> None:
            for _ in range(count):
                number = len(selector.get_map())
                first = _FIRST_PORT + 2 * TRACKS * number
                ports = [Pair(port, port + 1) for port in range(first, first + 2 * TRACKS, 2)]
                client = stack.enter_context(Client(parts.url, transport, ports=ports))
                client.play()
                selector.register(client.socket, selectors.EVENT_READ)
            over.wait(_PLAY_SECONDS)

        reader = threading.Thread(target=_read_all, args=(selector, over))
        reader.start()
        try:
            yield play
        finally:
            over.set()
            reader.join()
            selector.close()


def _read_all(selector: selectors.BaseSelector, over: threading.Event) -> None:
    buffer = bytearray(1 << 16)
    while not over.is_set():
        for key, _ in selector.select(timeout=0.05):
            assert isinstance(key.fileobj, socket.socket)
            if not key.fileobj.recv_into(buffer):
                raise RuntimeError("the proxy closed a connection")


@contextmanager
def _connections(url: str, asks: bool) -> Iterator[Add]:
    """Connections, which are silent after one request, or from the beginning."""
    target = RTSPURL.parse(url)
    question = Request(method=Method.OPTIONS, url=url, headers=Headers([("CSeq", "1")])).encode()
    with ExitStack() as stack:

        def connect(count: int) -> None:
            for _ in range(count):
                sock = stack.enter_context(socket.create_connection((target.host, target.effective_port)))
                if asks:
                    sock.sendall(question)
                    sock.recv(1 << 16)
            time.sleep(0.1)  # the proxy accepts the last ones

        yield connect
