"""Runs the benchmarks that are asked for and reports.

Without names all of them run, in about twelve minutes on two quiet processors, and docs/benchmarks.md and .json are
written anew. With names, or quickly, only the terminal gets the results.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from tests.bench import memory, rtp_throughput, setup_steps, setup_time, slot_change, tcp_throughput
from tests.bench.figures import Result
from tests.bench.report import Machine, as_json, markdown
from tests.bench.xds import compare, limits, slots

BENCHMARKS: dict[str, Callable[[bool], Result]] = {
    "setup": setup_time.run,
    "steps": setup_steps.run,
    "slot": slot_change.run,
    "rtp": rtp_throughput.run,
    "tcp": tcp_throughput.run,
    "memory": memory.run,
    "xds": compare.run,
    "grpc": limits.run,
    "slots": slots.run,
}
DOCS = Path(__file__).parents[2] / "docs"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report; the exit code is 0 whatever the figures are: a goal is missed on any slow machine."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the mesh against direct.")
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="few repetitions, to see that it works")
    options = parser.parse_args(arguments)
    names = options.names or list(BENCHMARKS)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    results = [_run(name, options.quick) for name in names]
    machine = Machine.this()
    page = markdown(results, machine, quick=options.quick)
    print(page)
    if not (options.names or options.quick):
        (DOCS / "benchmarks.md").write_text(page)
        (DOCS / "benchmarks.json").write_text(as_json(results, machine, quick=False) + "\n")
    return 0


def _run(name: str, quick: bool) -> Result:
    print(f"measuring {name} …", file=sys.stderr, flush=True)
    return BENCHMARKS[name](quick)
