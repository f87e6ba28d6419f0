"""docs/limits.md has every limit of the RTSP proxy, with its value and the tests that meet it."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from rtsp_filter.player.negotiation import MAXIMUM_TRACKS
from rtsp_filter.proxy import ProxyLimits, limits
from rtsp_filter.proxy.cameras import endpoint_reporter, health, upstream
from rtsp_filter.proxy.clients import outbox
from rtsp_filter.rtsp import MAX_REDIRECTS, Limits
from rtsp_filter.rtsp.client import RESPONSE_TIMEOUT
from xds_server.relays.senders import MAX_CHANGES

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([\w.]+)`(?: \(`([\w/.]+)`\))? \| ([\d.]+)(?: s)? \| .+ \| (.+) \|$", re.MULTILINE)


def rows() -> list[tuple[str, str, str, str]]:
    """(name, module where it is said, value, tests) of every row."""
    return ROW.findall((ROOT / "docs" / "limits.md").read_text())


def known() -> dict[str, float]:
    """Every limit that there is."""
    named = {name: getattr(limits, name) for name in vars(limits) if name.isupper()}
    named |= {f"{kind.__name__}.{each.name}": each.default for kind in (ProxyLimits, Limits) for each in fields(kind)}
    return named | {
        "DEAD_PEER_SECONDS": upstream.DEAD_PEER_SECONDS,
        "MAX_CHANGES": MAX_CHANGES,
        "MAX_HELD_MESSAGES": outbox.MAX_HELD_MESSAGES,
        "MAX_QUESTIONS": health.MAX_QUESTIONS,
        "MAXIMUM_TRACKS": MAXIMUM_TRACKS,
        "MAX_REDIRECTS": MAX_REDIRECTS,
        "REPORT_INTERVAL": endpoint_reporter.REPORT_INTERVAL,
        "MOST_UNREAD_BYTES": upstream.MOST_UNREAD_BYTES,
        "RESPONSE_TIMEOUT": RESPONSE_TIMEOUT,
    }


def test_every_limit_has_a_row_with_its_value() -> None:
    assert {name: float(value) for name, _, value, _ in rows()} == known()


def test_every_limit_names_tests_and_modules_that_exist() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"def (test_\w+)", source))
    for name, module, _, tests in rows():
        named = set(re.findall(r"`(test_\w+)`", tests))
        assert named, name
        assert named - defined == set(), name
        assert not module or (ROOT / module).is_file(), name
