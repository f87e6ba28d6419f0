"""One server under one load: both pinned to a processor of their own, everything measured from outside.

A server is told to change resources; the load client tells when the last acknowledgement was written. The processor
time of a piece of work counts until the server has come to rest, so what it does behind a client's back is in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum

from tests.bench.figures import median
from tests.bench.xds.programs import Program, built, python, settle
from tests.bench.xds.resources import BY_NAME, BY_WILDCARD

_PACE_MS = 5.0
# What `msm` sets for gRPC before it starts.
_AS_MSM = {"GRPC_ENABLE_FORK_SUPPORT": "0", "GRPC_EXPERIMENTS": "-event_engine_listener"}


class Served(Enum):
    """Who serves."""

    MESH = "mesh"
    ECHO = "grpc.aio alone"
    LINEAR = "linear"
    """go-control-plane's LinearCache."""
    SHARED = "shared"
    """go-control-plane's SnapshotCache, one snapshot for all nodes."""
    NODE = "node"
    """go-control-plane's SnapshotCache, a snapshot for each node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How many resources there are, how many clients, and how many resources each asks for by name; 0: for all.

    By name every client asks for the first resource, and for others that are its own where there are enough.
    """

    resources: int
    clients: int
    each: int = 0

    @property
    def type_url(self) -> str:
        """The type that they ask for."""
        return BY_NAME if self.each else BY_WILDCARD


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """cpu: processor seconds of the server. wall: seconds until the last acknowledgement was written or, when nothing
    is to be answered, until the server was at rest. resources: what the clients received. refused: streams that the
    server ended, which were then opened again."""

    cpu: float
    wall: float
    resources: int
    refused: int


class Trial:
    """A running server and its clients."""

    def __init__(self, servers: Sequence[Program], client: Program, load: Load) -> None:
        self._servers = servers
        self._client = client
        self._load = load
        self._rest()
        self._empty = self._memory

    def connect(self, *, clients: int | None = None, remember: bool = False) -> Cost:
        """Every client connects and gets all that it asks for or, when it remembers, nothing."""
        load = self._load
        awaited = 0 if remember else load.each or load.resources
        before = self._cpu
        self._client.tell(
            "connect",
            clients=load.clients if clients is None else clients,
            type=load.type_url,
            each=load.each,
            resources=load.resources,
            remember=remember,
            **{"await": awaited},
        )
        at_rest = self._settle()
        counts = self._client.tell("counts")
        end = at_rest if remember else counts["last_ack_ns"] / 1e9
        return self._cost(before, counts["start_ns"] / 1e9, end)

    def disconnect(self) -> None:
        """Every client leaves; what it remembers stays."""
        self._client.tell("close")
        self._settle()

    def change(self, *, first: int, count: int, received: int) -> Cost:
        """So many resources change, and that many arrive at clients."""
        self._client.tell("mark")
        before = self._cpu
        starts = [
            server.tell("change", first=first, count=count, pace_ms=_PACE_MS)["at_ns"] for server in self._servers
        ]
        counts = self._client.tell("wait", **{"await": received})
        self._settle()
        return self._cost(before, min(starts) / 1e9, counts["last_ack_ns"] / 1e9)

    def changes_of_one(self, times: int) -> Cost:
        """The resource that all ask for changes, several times: the medians."""
        costs = [self.change(first=0, count=1, received=self._load.clients) for _ in range(times)]
        return Cost(
            cpu=median([cost.cpu for cost in costs]),
            wall=median([cost.wall for cost in costs]),
            resources=costs[-1].resources,
            refused=sum(cost.refused for cost in costs),
        )

    def memory_kb(self, clients: int | None = None) -> float:
        """KB by client over the server without clients, once it has come to rest."""
        self._rest()
        return (self._memory - self._empty) / (clients or self._load.clients) / 1e3

    def _cost(self, cpu_before: float, start: float, end: float) -> Cost:
        counts = self._client.tell("counts")
        return Cost(
            cpu=self._cpu - cpu_before,
            wall=end - start,
            resources=counts["resources"],
            refused=counts["refused"],
        )

    @property
    def _cpu(self) -> float:
        return sum(server.cpu_seconds for server in self._servers)

    @property
    def _memory(self) -> int:
        return sum(server.memory for server in self._servers)

    def _settle(self) -> float:
        return settle((*self._servers, self._client))

    def _rest(self) -> None:
        for server in self._servers:
            server.tell("rest")
        self._settle()


@contextmanager
def trial(
    served: Served,
    load: Load,
    *,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    servers: int = 1,
) -> Iterator[Trial]:
    """A server and a load client without clients yet. `options`, `environment`: more for the server's command;
    `servers`: processes that share the port, each on a processor of its own."""
    extra = _Extra(options=options, environment=environment or {})
    first, *others = sorted(os.sched_getaffinity(0))
    last = others[-1] if others else first
    os.sched_setaffinity(0, {last})  # measuring costs time too
    try:
        with ExitStack() as stack:
            server = stack.enter_context(_server(served, load, extra, first, port=0))
            port = server.read()["port"]
            more = [stack.enter_context(_server(served, load, extra, last, port)) for _ in range(servers - 1)]
            for each in more:
                each.read()
            client = stack.enter_context(
                Program([str(built() / "load"), "-target", f"127.0.0.1:{port}"], processor=last)
            )
            running = Trial((server, *more), client, load)
            yield running
            running.disconnect()
    finally:
        os.sched_setaffinity(0, {first, *others})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extra:
    """What a server's command has besides its load."""

    options: Sequence[str]
    environment: Mapping[str, str]


def _server(served: Served, load: Load, extra: _Extra, processor: int, port: int) -> Program:
    if served in (Served.MESH, Served.ECHO):
        return Program(
            _own(served, load, port, extra.options), processor=processor, env={**_AS_MSM, **extra.environment}
        )
    numbers = {"resources": load.resources, "clients": load.clients, "each": load.each}
    arguments = [part for name, number in numbers.items() for part in (f"-{name}", str(number))]
    argv = [str(built() / "peer"), "-cache", served.value, "-type", load.type_url, *arguments]
    return Program(argv, processor=processor, env={"GOMAXPROCS": "1"})


def _own(served: Served, load: Load, port: int, options: Sequence[str]) -> list[str]:
    common = ("--type", load.type_url, "--port", str(port), *options)
    if served is Served.MESH:
        return python("tests.bench.xds.server", "--resources", str(load.resources), *common)
    return python("tests.bench.xds.echo", "--each", str(load.each), *common)
