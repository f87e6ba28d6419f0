"""The few rules of the protobuf wire format that let responses be joined instead of serialized.

A resource is encoded once. A response is then its own few fields followed by the resources' bytes as they are, so a
push costs what is in it and never a walk over message objects.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

_LENGTH_DELIMITED = 2


# Most lengths and every field header of ours fit one byte.
_ONE_BYTE = tuple(bytes((value,)) for value in range(0x80))


def varint(value: int) -> bytes:
    """A non-negative integer in base 128, least significant group first."""
    if value < 0x80:
        return _ONE_BYTE[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def length_prefix(number: int, length: int) -> bytes:
    """What stands in front of field `number` of `length` bytes."""
    return varint(number << 3 | _LENGTH_DELIMITED) + varint(length)


def bytes_field(number: int, payload: bytes) -> bytes:
    """Field `number` holding a message or bytes."""
    return length_prefix(number, len(payload)) + payload


def text_field(number: int, text: str) -> bytes:
    """Field `number` holding a string; nothing for the empty string, as proto3 leaves defaults out."""
    return bytes_field(number, text.encode()) if text else b""


def varint_field(number: int, value: int) -> bytes:
    """Field `number` holding a non-negative integer; nothing for 0, as proto3 leaves defaults out."""
    return varint(number << 3) + varint(value) if value else b""
