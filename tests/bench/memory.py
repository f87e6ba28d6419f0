"""What an idle session weighs: memory of the control plane with the RTSP proxy, and of Envoy."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from rtsp_filter.player import PlayTransport
from tests.bench.camera import SILENT, TRACKS, load_camera
from tests.bench.client import Client
from tests.bench.figures import Comparison, Figure, Goal, Result
from tests.bench.mesh import running_mesh
from tests.bench.proc import memory_bytes

GOAL_KB = 100.0
# Sessions that come first and are not counted: the first make Python and the allocators take what all share.
_BASE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weights:
    """Bytes of each process."""

    mesh: int
    envoy: int
    camera: int


def run(quick: bool) -> Result:
    """Sessions that play from a camera which sends nothing."""
    sessions = 50 if quick else 400
    figures: list[Figure] = []
    for transport in PlayTransport:
        mesh, envoy, camera = _per_session_kb(transport, sessions)
        label = transport.value.upper()
        figures.append(
            Figure(
                what=f"{label}: control plane and RTSP proxy",
                unit="KB a session",
                direct=camera,
                mesh=mesh,
                comparison=Comparison.RATIO,
                goal=Goal(at_most=GOAL_KB),
            )
        )
        if transport is PlayTransport.UDP:
            figures.append(Figure(what=f"{label}: Envoy, {TRACKS} slots", unit="KB a session", mesh=envoy))
    return Result(
        name="memory",
        title="Memory of an idle session",
        method=(
            f"{sessions} sessions of {TRACKS} tracks that play from a camera which sends nothing: what they add to the"
            f" memory of each process (Pss), after {_BASE} others. Beside it, what the same sessions add to the"
            " benchmark's camera, which keeps a thread for each and nothing else. Envoy's part is that of"
            " slots which had to be warmed for them; warm slots are there with or without sessions."
        ),
        figures=tuple(figures),
    )


def _per_session_kb(transport: PlayTransport, sessions: int) -> tuple[float, float, float]:
    """KB by session of the mesh's own process, Envoy and the camera."""
    total = _BASE + sessions
    with ExitStack() as stack:
        url, camera = stack.enter_context(load_camera(pace=SILENT))
        mesh = stack.enter_context(running_mesh(url, slots=TRACKS * total + TRACKS * total // 2))

        def weigh() -> _Weights:
            return _Weights(mesh=memory_bytes(mesh.pid), envoy=memory_bytes(mesh.envoy), camera=memory_bytes(camera))

        def play(count: int) -> None:
            for _ in range(count):
                stack.enter_context(Client(mesh.url, transport)).play()

        play(_BASE)
        before = weigh()
        play(sessions)
        after = weigh()
    grown = (after.mesh - before.mesh, after.envoy - before.envoy, after.camera - before.camera)
    return tuple(each / sessions / 1e3 for each in grown)  # type: ignore[return-value]
