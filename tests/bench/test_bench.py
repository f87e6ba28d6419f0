"""The benchmarks themselves: what they make of values, and that they run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.bench.figures import Comparison, Figure, Goal, percentile

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


@pytest.mark.integration
def test_a_benchmark_runs_and_reports() -> None:
    command = [sys.executable, "-m", "tests.bench", "--quick", "tcp"]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
    assert run.returncode == 0, run.stderr
    assert "Through the RTSP proxy" in run.stdout
    assert "Gbit/s" in run.stdout
