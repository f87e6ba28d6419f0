"""The xDS server beside go-control-plane: the same resources, the same clients, the same share of the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.bench.figures import Comparison, Figure, Goal, Result
from tests.bench.xds.programs import versions
from tests.bench.xds.trial import Cost, Load, Served, Trial, trial

PEER = "go-control-plane"
_SAME_CPU = Goal(at_most=1.0, of_comparison=True)
_FETCH_CPU = Goal(at_most=3.0, of_comparison=True)
_ONE_SECOND, _TEN_SECONDS = Goal(at_most=1.0), Goal(at_most=10.0)
_MEMORY = Goal(at_most=50.0)
_NOTHING = Goal(at_most=0.0)
_FLAT = Goal(at_most=1.5)
"""Sizes differ by the factor 30; a garbage collection more or less is not what this is about."""
_BY_NAME = (Served.MESH, Served.LINEAR, Served.NODE)
_BY_WILDCARD = (Served.MESH, Served.LINEAR, Served.SHARED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is done: three sizes of a mesh, of which the middle one is that of the goals, and the other loads."""

    meshes: tuple[Load, Load, Load]
    fetch: Load
    wildcard: Load
    weighed: tuple[Load, ...]
    single_changes: int
    shared_changes: int


FULL = Sizes(
    meshes=(
        Load(resources=1_000, clients=100, each=10),
        Load(resources=10_000, clients=1_000, each=10),
        Load(resources=30_000, clients=3_000, each=10),
    ),
    fetch=Load(resources=10_000, clients=3_000, each=100),
    wildcard=Load(resources=10_000, clients=1_000),
    weighed=(Load(resources=100, clients=300), Load(resources=10_000, clients=100)),
    single_changes=100,
    shared_changes=3,
)
QUICK = Sizes(
    meshes=(
        Load(resources=100, clients=10, each=10),
        Load(resources=300, clients=30, each=10),
        Load(resources=1_000, clients=100, each=10),
    ),
    fetch=Load(resources=1_000, clients=100, each=100),
    wildcard=Load(resources=1_000, clients=50),
    weighed=(Load(resources=100, clients=50),),
    single_changes=20,
    shared_changes=2,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One value of both: the peer's is the least of the ways in which it can be used, `way`."""

    mesh: float
    peer: float
    way: Served

    @classmethod
    def of(cls, values: Mapping[Served, float], by: Mapping[Served, float] | None = None) -> Pair:
        """Values by who served, of which MESH is one. `by`: what is least in the better way, if not the value."""
        ranks = by or values
        way = min((served for served in values if served is not Served.MESH), key=lambda served: ranks[served])
        return cls(mesh=values[Served.MESH], peer=values[way], way=way)

    def figure(self, what: str, unit: str, goal: Goal | None = None, *, scale: float = 1.0) -> Figure:
        """A line of the report."""
        return Figure(
            what=f"{what} ({self.way.value})",
            unit=unit,
            direct=self.peer * scale,
            mesh=self.mesh * scale,
            comparison=Comparison.RATIO,
            goal=goal,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What the steps of one trial cost, by their names, and what its clients weigh."""

    steps: dict[str, Cost]
    memory_kb: float


def run(quick: bool) -> Result:
    """Every work of the table, with each way of using the peer that suits it."""
    sizes = QUICK if quick else FULL
    meshes = [_each_way(_BY_NAME, load, lambda each: _live_in(each, sizes)) for load in sizes.meshes]
    fetched = _each_way(_BY_NAME, sizes.fetch, _fetch)
    wild = _each_way(_BY_WILDCARD, sizes.wildcard, _reconnect_wild)
    weighed = [(load, _each_way(_BY_WILDCARD, load, _fetch)) for load in sizes.weighed]
    return Result(
        name="xds",
        title="xDS: against go-control-plane",
        against=PEER,
        method=_method(sizes),
        figures=(
            *_change_figures(sizes, meshes, wild),
            *_connect_figures(sizes, meshes[1], fetched, wild),
            *_memory_figures(sizes, meshes[1], fetched, weighed),
        ),
    )


def _method(sizes: Sizes) -> str:
    return (
        "One load client (incremental ADS, a connection for each client, everything acknowledged) drives both servers,"
        " each alone on one processor and the load client on another. Each server is measured in the ways in which"
        " it can be used for the work, and the better one is set against the mesh: LinearCache (linear),"
        " SnapshotCache with one snapshot for all (shared) or with one for each node (node). By name every client asks"
        f" for {sizes.meshes[1].each} resources: one that all ask for, and others of its own. CPU: processor time of"
        " the server until it is at rest again. Wall: until the last acknowledgement was written. Memory: what a client"
        " adds to the server (Pss) when everything is acknowledged, after a full garbage collection. A ratio below 1"
        f" is better than the peer. {versions()}."
    )


Ways = dict[Served, Costs]


def _each_way(ways: Iterable[Served], load: Load, work: Callable[[Trial], dict[str, Cost]]) -> Ways:
    costs = {}
    for served in ways:
        with trial(served, load) as running:
            steps = work(running)
            costs[served] = Costs(steps=steps, memory_kb=running.memory_kb())
    return costs


def _live_in(running: Trial, sizes: Sizes) -> dict[str, Cost]:
    steps = {"connect": running.connect(), "shared": running.changes_of_one(sizes.shared_changes)}
    count = sizes.single_changes
    steps["single"] = running.change(first=1, count=count, received=count)
    running.disconnect()
    steps["reconnect"] = running.connect(remember=True)
    return steps


def _fetch(running: Trial) -> dict[str, Cost]:
    return {"connect": running.connect()}


def _reconnect_wild(running: Trial) -> dict[str, Cost]:
    running.connect(clients=1)  # it learns the versions for all
    running.disconnect()
    return {"reconnect": running.connect(remember=True), "shared": running.changes_of_one(1)}


def _cpu(ways: Ways, step: str) -> Pair:
    return Pair.of({served: costs.steps[step].cpu for served, costs in ways.items()})


def _wall(ways: Ways, step: str) -> Pair:
    walls = {served: costs.steps[step].wall for served, costs in ways.items()}
    return Pair.of(walls, {served: costs.steps[step].cpu for served, costs in ways.items()})


def _memory(ways: Ways) -> Pair:
    return Pair.of({served: costs.memory_kb for served, costs in ways.items()})


def _change_figures(sizes: Sizes, meshes: Sequence[Ways], wild: Ways) -> Iterable[Figure]:
    middle, clients = meshes[1], f"{sizes.meshes[1].clients:,}"
    total = f"{sizes.meshes[1].resources:,}"
    yield _cpu(middle, "shared").figure(f"1 of {total} changes, {clients} by name: CPU", "ms", _SAME_CPU, scale=1e3)
    yield _wall(middle, "shared").figure(f"1 of {total} changes, {clients} by name: wall", "s", _ONE_SECOND)
    load = sizes.wildcard
    what = f"1 of {load.resources:,} changes, {load.clients:,} by wildcard"
    yield _cpu(wild, "shared").figure(f"{what}: CPU", "ms", _SAME_CPU, scale=1e3)
    yield _wall(wild, "shared").figure(f"{what}: wall", "s", _ONE_SECOND)
    for load, ways in zip(sizes.meshes, meshes, strict=True):
        what = f"1 of {load.resources:,} changes, 1 of {load.clients:,} clients has it: CPU"
        yield _cpu(ways, "single").figure(what, "ms", scale=1e3 / sizes.single_changes)
    smallest, largest = (meshes[end][Served.MESH].steps["single"].cpu for end in (0, -1))
    yield Figure(
        what="The same: CPU of the largest by that of the smallest", unit="x", mesh=largest / smallest, goal=_FLAT
    )


def _connect_figures(sizes: Sizes, middle: Ways, fetched: Ways, wild: Ways) -> Iterable[Figure]:
    load = sizes.fetch
    what = f"{load.clients:,} clients connect and fetch {load.each}"
    yield _cpu(fetched, "connect").figure(f"{what}: CPU", "s", _FETCH_CPU)
    yield _wall(fetched, "connect").figure(f"{what}: wall", "s", _TEN_SECONDS)
    refused = fetched[Served.MESH].steps["connect"].refused
    yield Figure(what=f"{what}: refused at first", unit="streams", mesh=refused, goal=_NOTHING)
    for named, load, ways in (
        (f"{sizes.meshes[1].each} by name", sizes.meshes[1], middle),
        (f"wildcard of {sizes.wildcard.resources:,}", sizes.wildcard, wild),
    ):
        what = f"{load.clients:,} clients reconnect, nothing changed, {named}"
        yield _cpu(ways, "reconnect").figure(f"{what}: CPU", "s", _SAME_CPU)
        yield _wall(ways, "reconnect").figure(f"{what}: wall", "s")
        again = ways[Served.MESH].steps["reconnect"].resources
        yield Figure(what=f"{what}: sent again", unit="resources", mesh=again, goal=_NOTHING)


def _memory_figures(
    sizes: Sizes, middle: Ways, fetched: Ways, weighed: Sequence[tuple[Load, Ways]]
) -> Iterable[Figure]:
    unit = "KB a client"
    yield _memory(middle).figure(f"Memory: {sizes.meshes[1].each} by name", unit, _MEMORY)
    yield _memory(fetched).figure(f"Memory: {sizes.fetch.each} by name", unit, _MEMORY)
    for load, ways in weighed:
        yield _memory(ways).figure(f"Memory: wildcard of {load.resources:,}", unit, _MEMORY)
