"""Whatever strangers send, each reader keeps its promises: seconds of new inputs for each. `make fuzz` goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rtsp_filter.fuzz.fuzzer import STARTING_SECONDS, fuzz
from tests.rtsp_filter.fuzz.targets import MODULES

# About a minute for all targets.
SECONDS = 2


@pytest.mark.timeout(SECONDS + STARTING_SECONDS + 10)
@pytest.mark.parametrize("target", MODULES)
def test_new_inputs_break_no_promise(target: str, tmp_path: Path) -> None:
    print(fuzz(target, SECONDS, tmp_path))
