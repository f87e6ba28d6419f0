"""The benchmarks themselves: what they make of values, and that they run."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from envoy.service.discovery.v3 import discovery_pb2

from tests.bench.figures import Comparison, Figure, Goal, Result, percentile
from tests.bench.report import Machine, Measured, as_json, from_json, markdown, merged
from tests.bench.runner import BENCHMARKS, DOCS
from tests.bench.xds.compare import Pair
from tests.bench.xds.echo import response
from tests.bench.xds.resources import BY_NAME, BY_WILDCARD, Content
from tests.bench.xds.trial import Load, Served

# Starts up to four meshes, and measures each for a second.
SECONDS = 100.0
MACHINE = Machine(processors=2, model="m", kernel="k", python="3", packages={})


def test_percentiles_are_values_that_occurred() -> None:
    values = [4.0, 1.0, 3.0, 2.0]
    assert [percentile(values, share) for share in (0, 50, 75, 99, 100)] == [1.0, 2.0, 3.0, 4.0, 4.0]


def test_a_goal_is_for_the_meshs_own_value_or_for_the_comparison() -> None:
    own = Figure(what="", unit="", mesh=3.0, direct=2.0, comparison=Comparison.DIFFERENCE, goal=Goal(at_most=2.0))
    compared = Figure(
        what="",
        unit="",
        mesh=3.0,
        direct=2.0,
        comparison=Comparison.DIFFERENCE,
        goal=Goal(at_most=2.0, of_comparison=True),
    )
    assert (own.met, compared.met) == (False, True)
    assert Figure(what="", unit="", mesh=3.0, direct=2.0, comparison=Comparison.RATIO).against_direct == 1.5
    assert Figure(what="", unit="", mesh=3.0).met is None


def test_a_report_names_what_the_mesh_is_set_against() -> None:
    figure = Figure(
        what="work",
        unit="s",
        mesh=1.0,
        direct=2.0,
        comparison=Comparison.RATIO,
        goal=Goal(at_most=1, of_comparison=True),
    )
    result = Result(name="r", title="R", method="How.", figures=(figure,), against="the peer")
    measured = [Measured(machine=MACHINE, result=result)]
    lines = markdown(measured, quick=True).splitlines()
    assert "| | unit | the peer | mesh | against the peer | goal | |" in lines
    assert "| work | s | 2 | 1 | 0.50 x | against the peer ≤ 1 | met |" in lines
    (data,) = json.loads(as_json(measured))
    (written,) = data["result"]["figures"]
    assert (data["result"]["against"], written["against_direct"], written["met"]) == ("the peer", 0.5, True)


def test_what_was_not_measured_anew_stays_beside_what_was() -> None:
    known = [_measured("a", 1.0), _measured("b", 2.0), _measured("gone", 3.0)]
    assert from_json(as_json(known)) == known
    measured = merged(from_json(as_json(known)), [_measured("c", 5.0), _measured("b", 4.0)], ["c", "b", "a"])
    assert measured == [_measured("c", 5.0), _measured("b", 4.0), _measured("a", 1.0)]


def test_a_machine_is_told_once_or_with_each_benchmark_where_there_are_several() -> None:
    here, there = _measured("a", 1.0), _measured("b", 2.0, replace(MACHINE, model="another"))
    assert markdown([here, here]).count("Machine: ") == 1
    page = markdown([here, there])
    assert page.index("## A") < page.index("(m)") < page.index("## B") < page.index("(another)")


def test_the_page_of_benchmarks_is_what_its_data_says() -> None:
    measured = from_json((DOCS / "benchmarks.json").read_text())
    assert (DOCS / "benchmarks.md").read_text() == markdown(measured)
    assert {each.result.name for each in measured} <= set(BENCHMARKS)


def _measured(name: str, value: float, machine: Machine = MACHINE) -> Measured:
    figures = (Figure(what="work", unit="s", mesh=value, goal=Goal(at_most=3)),)
    return Measured(machine=machine, result=Result(name=name, title=name.upper(), method="How.", figures=figures))


def test_the_peer_is_taken_in_its_best_way() -> None:
    costs = {Served.MESH: 1.0, Served.LINEAR: 3.0, Served.NODE: 2.0}
    assert Pair.of(costs) == Pair(mesh=1.0, peer=2.0, way=Served.NODE)
    by_others = {Served.MESH: 9.0, Served.LINEAR: 1.0, Served.NODE: 5.0}
    assert Pair.of(costs, by_others) == Pair(mesh=1.0, peer=3.0, way=Served.LINEAR)
    assert Pair.of(costs).figure("work", "ms", scale=1e3).against_direct == 0.5


@pytest.mark.parametrize("type_url", [BY_NAME, BY_WILDCARD])
def test_the_benchmarks_resources_change_one_by_one(type_url: str) -> None:
    content = Content(type_url)
    first = content.first(3)
    again = content.change(1)
    assert len({(each.type_url, each.name) for each in first}) == 3
    assert (again.name, again.type_url) == (first[1].name, type_url)
    assert content.first(3) == [first[0], again, first[2]] != first


def test_what_the_echo_writes_is_a_response() -> None:
    resources = Content(BY_NAME).first(3)
    message = discovery_pb2.DeltaDiscoveryResponse.FromString(response(BY_NAME, resources))
    assert [(each.name, each.version) for each in message.resources] == [(r.name, r.version) for r in resources]
    assert message.nonce


def test_clients_ask_by_name_or_for_all() -> None:
    assert Load(resources=1, clients=1, each=1).type_url == BY_NAME
    assert Load(resources=1, clients=1).type_url == BY_WILDCARD


@pytest.mark.integration
@pytest.mark.timeout(SECONDS + 10)
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("tcp", "Through the RTSP proxy"),
        ("picture", "sessions that begin with a key frame"),
        ("sessions", "UDP, 8 at once"),
        ("footprint", "A connection that never asked"),
        ("convert", "TCP to UDP: delivered"),
        ("messages", "Session description: read"),
    ],
)
def test_a_benchmark_runs_and_reports(name: str, told: str) -> None:
    command = [sys.executable, "-m", "tests.bench", "--quick", name]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
    assert run.returncode == 0, run.stderr
    assert told in run.stdout
    assert "A quick run" in run.stdout
