"""What grpc.aio costs without xDS, and what helps: the event loop, who polls the sockets, several processes.

Both servers answer the same bytes to the same clients; only one of them knows what they mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.bench.figures import Comparison, Figure, Result
from tests.bench.xds.trial import Cost, Load, Served, trial

_FULL = Load(resources=10_000, clients=1_000, each=10)
_QUICK = Load(resources=1_000, clients=100, each=10)
_CHANGES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way to run a server. options: of the server's command line; environment: gRPC's own settings."""

    name: str
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    servers: int = 1


SETTINGS = (
    Setting(name="as msm runs it"),
    Setting(name="asyncio's own loop", options=("--loop", "asyncio")),
    # By default gRPC polls with threads of its own, which hand every event to the one that hands it to Python.
    Setting(name="sockets polled by gRPC's own threads", environment={"GRPC_EXPERIMENTS": ""}),
    Setting(name="two processes on one port", servers=2),
)


def run(quick: bool) -> Result:
    """Each setting, with and without xDS."""
    load = _QUICK if quick else _FULL
    figures = [figure for setting in SETTINGS for figure in _figures(setting, load)]
    return Result(
        name="grpc",
        title="xDS: what gRPC costs",
        against="grpc.aio alone",
        method=(
            "The server under test beside a server of grpc.aio that writes ready-made bytes, as many, to the same"
            f" {load.clients:,} clients, and understands nothing: what is left for xDS. One processor for the server,"
            " but for the two processes, of which the second shares a processor with the load client: their processor"
            " time tells more than the wall. CPU of a push: one resource that all ask for changes, until every"
            " acknowledgement has been read."
        ),
        figures=tuple(figures),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Costs:
    connect: Cost
    push: Cost
    memory_kb: float


def _figures(setting: Setting, load: Load) -> list[Figure]:
    echo, mesh = (_measure(served, setting, load) for served in (Served.ECHO, Served.MESH))
    rows = (
        (f"connect {load.clients:,}, {load.each} resources each, CPU", "s", echo.connect.cpu, mesh.connect.cpu),
        (f"push to {load.clients:,}, CPU", "ms", echo.push.cpu * 1e3, mesh.push.cpu * 1e3),
        (f"push to {load.clients:,}, wall", "ms", echo.push.wall * 1e3, mesh.push.wall * 1e3),
        ("memory", "KB a client", echo.memory_kb, mesh.memory_kb),
    )
    return [
        Figure(what=f"{setting.name}: {what}", unit=unit, direct=alone, mesh=xds, comparison=Comparison.RATIO)
        for what, unit, alone, xds in rows
    ]


def _measure(served: Served, setting: Setting, load: Load) -> _Costs:
    options, environment = setting.options, setting.environment
    with trial(served, load, options=options, environment=environment, servers=setting.servers) as running:
        connect = running.connect()
        push = running.changes_of_one(_CHANGES)
        return _Costs(connect=connect, push=push, memory_kb=running.memory_kb())
