"""How much longer a session takes to set up through the mesh than directly from the same camera."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from rtsp_filter.player import PlayTransport, play
from tests.bench.figures import Comparison, Figure, Goal, Result, percentile
from tests.bench.mesh import bundled_camera, byte_relay, running_mesh

# Of the overhead, at the percentiles that are told.
GOALS_MS = {50: 2.0, 99: 10.0}
# Pairs that are not counted: the first sessions load code and warm up slots.
_WARM_UP = 5
_SLOTS = 1024

Pair = tuple[float, float]


def run(quick: bool) -> Result:
    """200 sessions one after the other, every other one direct; and 50 at once, several times, alternating."""
    pairs, at_once, rounds = (20, 10, 1) if quick else (200, 50, 4)
    figures: list[Figure] = []
    with bundled_camera() as direct, running_mesh(direct, slots=_SLOTS) as mesh:
        for transport in PlayTransport:
            label = f"{transport.value.upper()}, in sequence"
            figures += _figures(label, asyncio.run(_in_sequence(direct, mesh.url, transport, pairs)), GOALS_MS)
            together = asyncio.run(_at_once(direct, mesh.url, transport, at_once, rounds))
            figures += _figures(f"{transport.value.upper()}, {at_once} at once", together, {})
        with byte_relay(direct) as (relay, _):
            bare = asyncio.run(_in_sequence(direct, relay, PlayTransport.TCP, pairs))
            figures += _figures("TCP, in sequence, a bare byte relay in place of the mesh", bare, {})
    return Result(
        name="setup",
        title="Set-up time",
        method=(
            "Milliseconds from the start of connecting to the answer to PLAY (OPTIONS, DESCRIBE, SETUP of two tracks,"
            f" PLAY), as the bundled player measures it against the bundled camera. {pairs} pairs in sequence, each"
            " a direct session and one through the mesh; the overhead is that of the differences of the pairs."
            f" {at_once} at once: all start in the same instant, {rounds} times each way, alternating; the overhead"
            " is the difference of the percentiles. The bare byte relay is a process of the same loop that copies what"
            " it reads and understands nothing: what any proxy costs here, whatever it does."
        ),
        figures=tuple(figures),
    )


async def _in_sequence(direct: str, mesh: str, transport: PlayTransport, pairs: int) -> list[Pair]:
    measured = [(await _setup_ms(direct, transport), await _setup_ms(mesh, transport)) for _ in range(_WARM_UP + pairs)]
    return measured[_WARM_UP:]


async def _at_once(direct: str, mesh: str, transport: PlayTransport, sessions: int, rounds: int) -> list[Pair]:
    """Times in order of size, so that the pairs have the percentiles of either side."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for side, url in zip(times, (direct, mesh), strict=True):
            side += await asyncio.gather(*(_setup_ms(url, transport) for _ in range(sessions)))
    return list(zip(sorted(times[0]), sorted(times[1]), strict=True))


async def _setup_ms(url: str, transport: PlayTransport) -> float:
    report = await play(url, transport=transport, seconds=0)
    assert report.setup_ms is not None
    return report.setup_ms


def _figures(label: str, pairs: Sequence[Pair], goals: Mapping[int, float]) -> list[Figure]:
    differences = [mesh - direct for direct, mesh in pairs]
    return [
        Figure(
            what=f"{label}, p{share}",
            unit="ms",
            direct=percentile([direct for direct, _ in pairs], share),
            mesh=percentile([mesh for _, mesh in pairs], share),
            comparison=Comparison.DIFFERENCE,
            compared=percentile(differences, share),
            goal=Goal(at_most=goals[share], of_comparison=True) if share in goals else None,
        )
        for share in GOALS_MS
    ]
