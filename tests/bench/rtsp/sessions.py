"""How many whole sessions the RTSP proxy sets up and ends in one second of its processor time, against a plain copy."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rtsp_filter.player import PlayTransport
from rtsp_filter.rtsp import Pair
from tests.bench.camera import SILENT, TRACKS, load_camera
from tests.bench.client import Client
from tests.bench.figures import Comparison, Figure, Goal, Result, median
from tests.bench.mesh import byte_relay
from tests.bench.proc import RESOLUTION, cpu_seconds
from tests.bench.rtsp.parts import Parts, mesh_in_parts

GOAL_SESSIONS = 400.0
# The first sessions load code and warm up slots.
_WARM_UP = 20
_AT_ONCE = 8
# A slot rests for a second once its camera has stopped. All of them find ports beside those of the camera.
_SLOTS = 896
_FIRST_PORT = 33_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cost:
    """Sessions by processor second of the RTSP proxy, and of a copy of bytes in its place (None where there could be
    none), and milliseconds of the control plane by session."""

    sessions: float
    copied: float | None
    control_ms: float


def run(quick: bool) -> Result:
    """Sessions one after the other, and several at once; UDP and TCP."""
    rounds, sessions, slots = (1, 40, 256) if quick else (3, 400, _SLOTS)
    figures: list[Figure] = []
    with (
        load_camera(pace=SILENT) as (url, _),
        mesh_in_parts(url, slots=slots) as parts,
        byte_relay(url) as relay,
    ):
        for transport in PlayTransport:
            copy = relay if transport is PlayTransport.TCP else None
            _play(parts.url, transport, _WARM_UP, 1)
            for at_once, how in ((1, "one after the other"), (_AT_ONCE, f"{_AT_ONCE} at once")):
                costs = [_cost(parts, copy, transport, sessions, at_once) for _ in range(rounds)]
                figures += _figures(f"{transport.value.upper()}, {how}", costs)
    return Result(
        name="sessions",
        title="Sessions by processor second",
        method=(
            f"Whole sessions (OPTIONS, DESCRIBE, SETUP of {TRACKS} tracks, PLAY, TEARDOWN, each on a connection of its"
            " own) between a client and a camera that do nothing else, through an RTSP proxy in a process of its own:"
            f" sessions by processor second of that process, kernel included. {rounds} times {sessions} sessions,"
            " medians. Beside it, a process of the same loop that copies bytes and understands nothing, which is the"
            " most that Python on asyncio could do, and what a session costs the control plane. What bounds the proxy"
            " is Python: a session is six requests and five of its own to the camera, some 4,000 calls. A fifth of the"
            " time is the kernel's; of the rest, a third reads and writes messages, and no other part has a tenth."
            " Over UDP, the relay stream's messages by gRPC come on top. Tried: to compile what reads and writes"
            " messages with mypyc, which gave a sixth, for a compiler on every machine; to remember descriptions and"
            " to copy headers less, which gave a tenth and stayed."
        ),
        figures=tuple(figures),
        against="a plain copy",
    )


def _cost(parts: Parts, copy: tuple[str, int] | None, transport: PlayTransport, sessions: int, at_once: int) -> _Cost:
    copied = None if copy is None else _by_processor_second(*copy, transport, sessions, at_once)
    before = cpu_seconds(parts.control)
    passed = _by_processor_second(parts.url, parts.proxy, transport, sessions, at_once)
    control = cpu_seconds(parts.control) - before
    return _Cost(sessions=passed, copied=copied, control_ms=1e3 * control / sessions)


def _by_processor_second(url: str, pid: int, transport: PlayTransport, sessions: int, at_once: int) -> float:
    before = cpu_seconds(pid)
    _play(url, transport, sessions, at_once)
    return sessions / max(cpu_seconds(pid) - before, RESOLUTION)


def _play(url: str, transport: PlayTransport, sessions: int, at_once: int) -> None:
    """Play so many sessions; raises what one of them raises. Sessions at the same time have ports of their own."""
    with ThreadPoolExecutor(at_once) as pool:
        for each in [pool.submit(_some, url, transport, sessions // at_once, number) for number in range(at_once)]:
            each.result()


def _some(url: str, transport: PlayTransport, sessions: int, number: int) -> None:
    first = _FIRST_PORT + 2 * TRACKS * number
    ports = [Pair(port, port + 1) for port in range(first, first + 2 * TRACKS, 2)]
    for _ in range(sessions):
        with Client(url, transport, ports=ports) as client:
            client.play()
            client.teardown()


def _figures(label: str, costs: Sequence[_Cost]) -> list[Figure]:
    copied = [each.copied for each in costs if each.copied is not None]
    return [
        Figure(
            what=label,
            unit="sessions by processor second",
            mesh=median([each.sessions for each in costs]),
            direct=median(copied) if copied else None,
            comparison=Comparison.RATIO,
            goal=Goal(at_least=GOAL_SESSIONS),
        ),
        Figure(
            what=f"{label}: the control plane",
            unit="ms a session",
            mesh=median([each.control_ms for each in costs]),
        ),
    ]
