"""What goes out on a connection that carries interleaved frames: messages go between frames, never into one.

Pure: says what to write, writes nothing.
"""

from __future__ import annotations

from rtsp_filter.rtsp import InterleavedChunk

# Messages that wait for the end of a frame. Frames have 64 KiB at most, so few do, unless a sender stops in mid-frame.
MAX_HELD_MESSAGES = 64

Buffer = bytes | memoryview


class OutboxFullError(Exception):
    """Too many messages wait for the end of a frame that does not end."""


class Outbox:
    """One direction of one connection. `mid_frame`: the last frame that was passed on is not complete."""

    def __init__(self) -> None:
        self.mid_frame = False
        self._held: list[bytes] = []

    def message(self, data: bytes) -> list[Buffer]:
        """What to write now for a message: itself, or nothing before the frame has ended. Raises OutboxFullError."""
        if not self.mid_frame:
            return [data]
        if len(self._held) >= MAX_HELD_MESSAGES:
            raise OutboxFullError
        self._held.append(data)
        return []

    def media(self, chunk: InterleavedChunk) -> list[Buffer]:
        """What to write now for a run of frames; messages that wait go where its last whole frame ends."""
        self.mid_frame = not chunk.whole
        if not self._held:
            return [chunk.data]
        boundary = len(chunk.data) if chunk.whole else chunk.last_frame if chunk.frames else None
        if boundary is None:
            return [chunk.data]
        held, self._held = self._held, []
        return [chunk.data[:boundary], b"".join(held), chunk.data[boundary:]]
