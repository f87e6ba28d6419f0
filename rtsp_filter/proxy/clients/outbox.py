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
    """One direction of one connection. `mid_frame`: the last frame that was passed on is not complete. `dropped`: how
    many frames were not passed on, each of them whole."""

    def __init__(self) -> None:
        self.mid_frame = False
        self.dropped = 0
        self._held: list[bytes] = []

    def message(self, data: bytes) -> list[Buffer]:
        """What to write now for a message: itself, or nothing before the frame has ended. Raises OutboxFullError."""
        if not self.mid_frame:
            return [data]
        if len(self._held) >= MAX_HELD_MESSAGES:
            raise OutboxFullError
        self._held.append(data)
        return []

    def media(self, chunk: InterleavedChunk, *, room: bool = True) -> list[Buffer]:
        """What to write now for a run of frames; messages that wait go where its last whole frame ends.

        Without `room` a frame that was begun is finished, and those that begin here are dropped.
        """
        if not room or (chunk.continuation and not self.mid_frame):
            return self._some(chunk, room=room)
        self.mid_frame = not chunk.whole
        if not self._held:
            return [chunk.data]
        boundary = len(chunk.data) if chunk.whole else chunk.last_frame if chunk.frames else None
        if boundary is None:
            return [chunk.data]
        return [chunk.data[:boundary], self._released(), chunk.data[boundary:]]

    def _some(self, chunk: InterleavedChunk, *, room: bool) -> list[Buffer]:
        """The part of a run that is passed on: it begins and ends where frames do, but for one that goes on later."""
        ends_frame = chunk.whole or chunk.frames > 0
        # The rest of a frame whose beginning was not passed on is not passed on either.
        begins = 0 if self.mid_frame else chunk.continuation
        if room:
            passed = chunk.data[begins:]
            self.mid_frame = not chunk.whole and len(passed) > 0
        else:
            passed = chunk.data[begins : chunk.continuation]
            self.dropped += chunk.frames
            self.mid_frame = self.mid_frame and not ends_frame
        if self.mid_frame or not self._held:
            return [passed] if passed else []
        return [passed, self._released()]

    def _released(self) -> bytes:
        held, self._held = self._held, []
        return b"".join(held)
