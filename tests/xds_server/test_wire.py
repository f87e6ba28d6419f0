"""The wire format's few rules."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xds_server.wire import bytes_field, text_field, varint


@given(st.integers(min_value=0, max_value=2**40))
def test_a_varint_ends_at_its_last_group(value: int) -> None:
    encoded = varint(value)
    assert all(byte & 0x80 for byte in encoded[:-1])
    assert not encoded[-1] & 0x80
    assert sum((byte & 0x7F) << (7 * i) for i, byte in enumerate(encoded)) == value


def test_an_empty_string_is_left_out_and_empty_bytes_are_not() -> None:
    assert text_field(1, "") == b""
    assert bytes_field(2, b"") == b"\x12\x00"
