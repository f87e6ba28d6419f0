"""The Session header, with and without a time-out."""

from __future__ import annotations

import pytest

from rtsp_filter.rtsp import SessionHeader


@pytest.mark.parametrize(
    ("value", "session_id", "timeout"),
    [
        ("12345678", "12345678", None),
        ("12345678;timeout=10", "12345678", 10),
        (" abc ; Timeout = 30 ;x=y", "abc", 30),
        ("abc;timeout=soon", "abc", None),
        ("abc;timeout=0", "abc", None),
        ("", "", None),
    ],
)
def test_id_and_timeout_are_read(value: str, session_id: str, timeout: int | None) -> None:
    assert SessionHeader.parse(value) == SessionHeader(id=session_id, timeout=timeout)


def test_what_is_encoded_parses_to_the_same() -> None:
    for header in (SessionHeader(id="a"), SessionHeader(id="b", timeout=60)):
        assert SessionHeader.parse(header.encode()) == header
