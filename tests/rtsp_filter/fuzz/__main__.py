"""`python -m tests.rtsp_filter.fuzz [--seconds N] [TARGET …]`: fuzz each target for N seconds, one after the other.

What was learnt stays in .cache/fuzz/learnt, for the next time. An input that breaks a promise ends the run, stays in
.cache/fuzz/found, and belongs into corpus/TARGET once it is mended.
"""

from __future__ import annotations

import argparse
import sys

from tests.rtsp_filter.fuzz.fuzzer import LEARNT, FuzzingError, fuzz
from tests.rtsp_filter.fuzz.targets import MODULES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.rtsp_filter.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(MODULES)}; all by default")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    options = parser.parse_args()
    for name in options.targets or MODULES:
        try:
            print(f"{name}: {fuzz(name, options.seconds, LEARNT / name)}", flush=True)
        except FuzzingError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
