"""docs/rtsp.md names the tests of each rule; a test that is renamed must be renamed there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
RULES = 51
# Rules that are not kept yet, or not shown to be. Whoever closes one lowers this; it never rises.
NOT_YET = 1


def rows() -> list[tuple[int, list[str], str]]:
    """(number, modules, tests) of every row."""
    page = (ROOT / "docs" / "rtsp.md").read_text()
    found = re.findall(r"^\| (\d+) \| .+ \| .+ \| (.+) \| (.+) \|$", page, re.MULTILINE)
    return [(int(number), re.findall(r"`([\w/.]+)`", modules), tests) for number, modules, tests in found]


def test_every_rule_has_a_row_and_names_modules_and_tests_that_exist() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    known = set(re.findall(r"def (test_\w+)", source))
    assert [number for number, _, _ in rows()] == list(range(1, RULES + 1))
    for number, modules, tests in rows():
        assert modules, number
        assert [module for module in modules if not (ROOT / module).is_file()] == [], number
        named = set(re.findall(r"`(test_\w+)`", tests))
        assert named or tests.startswith("not yet: "), number
        assert named - known == set(), number


def test_the_rules_that_are_not_kept_yet_only_become_fewer() -> None:
    assert len([number for number, _, tests in rows() if tests.startswith("not yet: ")]) == NOT_YET
