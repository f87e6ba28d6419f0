"""docs/security.md names tests that exist, and has every limit of identities with its value."""

from __future__ import annotations

import re
from pathlib import Path

from mesh.identity import chains, spiffe_ids, verification

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "security.md").read_text()
LIMIT = re.compile(r"^\| `([A-Z_]+)` \(`([\w/.]+)`\) \| ([\d.]+)(?: s)? \|", re.MULTILINE)


def test_every_test_that_is_named_exists() -> None:
    source = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named
    assert named - set(re.findall(r"def (test_\w+)", source)) == set()


def test_every_limit_has_a_row_with_its_value() -> None:
    known = {
        (name, f"{module.__name__.replace('.', '/')}.py"): float(value)
        for module in (chains, spiffe_ids, verification)
        for name, value in vars(module).items()
        if re.fullmatch(r"(MAX_\w+|CLOCK_SKEW)", name) and f"\n{name} = " in Path(str(module.__file__)).read_text()
    }
    assert {(name, module): float(value) for name, module, value in LIMIT.findall(PAGE)} == known
