"""A coverage-guided fuzzer (atheris, which is libFuzzer for Python) in a process of its own, for one target."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
CORPUS = HERE / "corpus"
TOKENS = HERE / "tokens.dict"
LEARNT = ROOT / ".cache" / "fuzz" / "learnt"
FOUND = ROOT / ".cache" / "fuzz" / "found"
# Inputs longer than this find nothing that shorter ones do not: the limits that the targets set are far below.
LONGEST_INPUT = 4096
# Seconds for one input, whose bytes should take a millisecond: beyond that, time grows faster than the input.
SLOWEST_INPUT = 5
MOST_MEMORY_MB = 1024
# Importing and instrumenting everything, and trying all that was learnt before, on a machine that does much besides.
STARTING_SECONDS = 300
# Runs in the fuzzer's process. Instrumenting comes before the import of what is fuzzed.
PROGRAM = """
import sys
import atheris
with atheris.instrument_imports(include=["rtsp_filter"]):
    from tests.rtsp_filter.fuzz.targets import load
    target = load(sys.argv.pop(1))
atheris.Setup(sys.argv, target)
atheris.Fuzz()
"""


class FuzzingError(Exception):
    """An input broke a promise, took too long or took too much memory; the message shows how."""


def fuzz(target: str, seconds: int, learnt: Path, *, seed: int = 0) -> str:
    """Fuzz one target; returns a line of figures. Inputs that reach something new are kept in the folder `learnt`, and
    are where it begins besides the corpus. `seed` 0: other inputs every time. Raises FuzzingError."""
    for folder in (learnt, FOUND):
        folder.mkdir(parents=True, exist_ok=True)
    options = (
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST_INPUT}",
        f"-timeout={SLOWEST_INPUT}",
        f"-rss_limit_mb={MOST_MEMORY_MB}",
        f"-dict={TOKENS}",
        f"-artifact_prefix={FOUND}/{target}-",
        f"-seed={seed}",
        "-print_final_stats=1",
    )
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, target, learnt, CORPUS / target, *options],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds + STARTING_SECONDS,
    )
    if done.returncode:
        raise FuzzingError(f"\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return _figures(done.stderr)


def _figures(log: str) -> str:
    runs = re.search(r"number_of_executed_units: (\d+)", log)
    coverage = re.findall(r"cov: (\d+)", log)
    return f"{runs[1] if runs else '?'} inputs, {coverage[-1] if coverage else '?'} branches reached"
