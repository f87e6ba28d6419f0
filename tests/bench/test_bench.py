"""The benchmarks themselves: what they make of values, and that they run."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from envoy.service.discovery.v3 import discovery_pb2

from tests.bench.figures import Comparison, Figure, Goal, Result, percentile
from tests.bench.report import Machine, as_json, markdown
from tests.bench.xds.compare import Pair
from tests.bench.xds.echo import response
from tests.bench.xds.resources import BY_NAME, BY_WILDCARD, Content
from tests.bench.xds.trial import Load, Served

# Starts a mesh and a camera, and measures for a second.
SECONDS = 50.0


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
    machine = Machine(processors=2, model="m", kernel="k", python="3", packages={})
    lines = markdown([result], machine, quick=True).splitlines()
    assert "| | unit | the peer | mesh | against the peer | goal | |" in lines
    assert "| work | s | 2 | 1 | 0.50 x | against the peer ≤ 1 | met |" in lines
    (data,) = json.loads(as_json([result], machine, quick=True))["benchmarks"]["r"]
    assert (data["against"], data["direct"], data["goal"]) == ("the peer", 2.0, "against the peer ≤ 1")


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
def test_a_benchmark_runs_and_reports() -> None:
    command = [sys.executable, "-m", "tests.bench", "--quick", "tcp"]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
    assert run.returncode == 0, run.stderr
    assert "Through the RTSP proxy" in run.stdout
    assert "Gbit/s" in run.stdout
