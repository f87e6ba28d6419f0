"""Whatever strangers send, each reader keeps its promises: seconds of inputs for each, the same ones every time, so
that a release does not depend on luck. `make fuzz` goes on with others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rtsp_filter.fuzz.fuzzer import STARTING_SECONDS, fuzz
from tests.rtsp_filter.fuzz.targets import MODULES

# About a minute for all targets.
SECONDS = 2
SEED = 1


@pytest.mark.timeout(SECONDS + STARTING_SECONDS + 10)
@pytest.mark.parametrize("target", MODULES)
def test_new_inputs_break_no_promise(target: str, tmp_path: Path) -> None:
    print(fuzz(target, SECONDS, tmp_path, seed=SEED))
