"""`python -m tests.bench [--quick] [NAME …]`"""

from __future__ import annotations

import os
import sys


def start() -> int:
    """The benchmarks, in a process as `msm` makes its own: gRPC reads this when it is imported."""
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")
    from tests.bench.runner import main

    return main()


if __name__ == "__main__":
    sys.exit(start())
