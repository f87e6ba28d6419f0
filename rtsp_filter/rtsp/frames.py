"""Single interleaved frames (RFC 2326, 10.12), for endpoints: a forwarder passes chunks on without looking inside."""

from __future__ import annotations

from collections.abc import Sequence

from rtsp_filter.rtsp.messages import InterleavedChunk

FRAME_HEADER_SIZE = 4
MAX_FRAME_PAYLOAD = 65535
"""The length field has 16 bits."""

Payload = bytes | memoryview
"""Of a frame or a datagram."""


class FrameAssembler:
    """Chunks in, (channel, payload) out; holds at most one frame that is not complete."""

    def __init__(self) -> None:
        self._partial = b""

    def receive_chunk(self, chunk: InterleavedChunk) -> list[tuple[int, bytes]]:
        """The frames that this chunk completes, in order. Payloads are copies and stay valid."""
        # Of a frame whose beginning was not given to this assembler nothing can be made.
        unknown = 0 if self._partial else chunk.continuation
        data = self._partial + bytes(chunk.data[unknown:])
        frames: list[tuple[int, bytes]] = []
        at, end = 0, len(data)
        while at + FRAME_HEADER_SIZE <= end:
            payload = at + FRAME_HEADER_SIZE
            after = payload + (data[at + 2] << 8 | data[at + 3])
            if after > end:
                break
            frames.append((data[at + 1], data[payload:after]))
            at = after
        self._partial = data[at:]
        return frames


def encode_frame(channel: int, payload: Payload) -> bytes:
    """One frame. Raises ValueError for a channel or payload that does not fit its header."""
    return _header(channel, len(payload)) + payload


def encode_frames(channel: int, payloads: Sequence[Payload]) -> bytes:
    """A frame of each payload, one behind the other. Raises ValueError as `encode_frame` does."""
    return b"".join([part for payload in payloads for part in (_header(channel, len(payload)), payload)])


def _header(channel: int, size: int) -> bytes:
    if not 0 <= channel <= 255 or size > MAX_FRAME_PAYLOAD:
        raise ValueError(f"channel {channel} or {size} bytes do not fit an interleaved frame")
    return b"$%c%c%c" % (channel, size >> 8, size & 0xFF)
