"""Inputs that taught the fuzzer something, and all that ever broke a promise, one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rtsp_filter.fuzz.fuzzer import CORPUS
from tests.rtsp_filter.fuzz.targets import MODULES, load

CASES = sorted(path for path in CORPUS.rglob("*") if path.is_file())


def test_every_target_has_a_corpus_of_its_own() -> None:
    assert {case.parent.name for case in CASES} == set(MODULES)


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_known_input_keeps_every_promise(case: Path) -> None:
    load(case.parent.name)(case.read_bytes())
