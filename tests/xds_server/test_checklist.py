"""docs/xds.md names the test of each rule; a test that is renamed must be renamed there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
RULES = 46


def test_every_rule_has_a_row_and_every_named_test_exists() -> None:
    page = (ROOT / "docs" / "xds.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (.+) \| (.+) \|$", page, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, RULES + 1))
    source = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    known = set(re.findall(r"def (test_\w+)", source))
    assert set(re.findall(r"`(test_\w+)`", page)) <= known
