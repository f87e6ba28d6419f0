"""What Envoy's own log lines become."""

from __future__ import annotations

import pytest

from xds_server.envoy.process import log_line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"warning config: a listener was rejected: \n", ("warning", "config: a listener was rejected:")),
        (b"gateway/default/edge/game: unable to open file\n", ("", "gateway/default/edge/game: unable to open file")),
        (b"critical\n", ("critical", "")),
        (b"\n", ("", "")),
        (b"  \n", ("", "")),
        (b"error \xff\n", ("error", "\N{REPLACEMENT CHARACTER}")),
    ],
)
def test_a_line_is_split_into_level_and_message(line: bytes, expected: tuple[str, str]) -> None:
    assert log_line(line) == expected
