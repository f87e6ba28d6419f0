"""Runs the benchmarks that are asked for and reports.

Without names all of them run, in about twenty minutes on two quiet processors. The terminal gets the results; with
`--write`, docs/benchmarks.md and .json get them too, beside what is known of the benchmarks that did not run.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from tests.bench import memory, rtp_throughput, setup_steps, setup_time, slot_change, tcp_throughput
from tests.bench.figures import Result
from tests.bench.report import Machine, Measured, as_json, from_json, markdown, merged
from tests.bench.rtsp import conversion, first_picture, footprint, messages, sessions
from tests.bench.xds import compare, limits, slots

BENCHMARKS: dict[str, Callable[[bool], Result]] = {
    "setup": setup_time.run,
    "steps": setup_steps.run,
    "slot": slot_change.run,
    "rtp": rtp_throughput.run,
    "tcp": tcp_throughput.run,
    "memory": memory.run,
    "picture": first_picture.run,
    "sessions": sessions.run,
    "footprint": footprint.run,
    "convert": conversion.run,
    "messages": messages.run,
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
    parser.add_argument("--write", action="store_true", help="put the results into docs/, in place of earlier ones")
    options = parser.parse_args(arguments)
    if options.quick and options.write:
        parser.error("results of a quick run are not written down")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    machine = Machine.this()
    names = options.names or list(BENCHMARKS)
    measured = [Measured(machine=machine, result=_run(name, options.quick)) for name in names]
    print(markdown(measured, quick=options.quick))
    if options.write:
        _write(measured)
    return 0


def _write(new: Sequence[Measured]) -> None:
    page, data = DOCS / "benchmarks.md", DOCS / "benchmarks.json"
    known = from_json(data.read_text()) if data.exists() else []
    measured = merged(known, new, list(BENCHMARKS))
    data.write_text(as_json(measured) + "\n")
    page.write_text(markdown(measured))


def _run(name: str, quick: bool) -> Result:
    print(f"measuring {name} …", file=sys.stderr, flush=True)
    start = time.perf_counter()
    result = BENCHMARKS[name](quick)
    print(f"measured {name} in {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return result
