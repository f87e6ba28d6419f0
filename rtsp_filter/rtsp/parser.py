"""The byte stream of a connection → requests, responses and runs of interleaved media.

Media is the hot path. The parser only follows the lengths in `$` frame headers and gives back the longest run of
frame bytes in the buffer it was given, as a view, whatever the cuts of the reads; so a forwarder touches four bytes a
frame and copies none. Messages are rare and small; they are collected, then read as a whole.
"""

from __future__ import annotations

import re
from collections import deque
from enum import Enum, auto

from rtsp_filter.rtsp.errors import RTSPParseError
from rtsp_filter.rtsp.head import DEFAULT_LIMITS, ONLY_1, Limits, MessageHead, find_head_end, parse_head
from rtsp_filter.rtsp.messages import InterleavedChunk, Request, Response
from rtsp_filter.rtsp.status import StatusCode

_DOLLAR = 0x24
_LINE_ENDS = re.compile(rb"[\r\n]+")
_FRAME_HEADER_SIZE = 4
_CHANNELS = 256

Event = Request | Response | InterleavedChunk


class _Phase(Enum):
    BETWEEN = auto()
    MEDIA = auto()
    HEAD = auto()
    BODY = auto()


class Parser:
    """Parses one direction of one connection; both sides may send requests, responses and media in any order.

    Give data with `receive_data`, then take events until `next_event` returns None: until then the data given must
    not change, afterwards the parser holds no reference to it.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS, *, versions: frozenset[str] = ONLY_1) -> None:
        """`versions` are those that the caller can answer: any other is an error with status 505."""
        self._limits = limits
        self._versions = versions
        self._waiting: deque[memoryview] = deque()
        self._view = memoryview(b"")
        self._at = 0
        self._phase = _Phase.BETWEEN
        self._blank = 0
        self._text = bytearray()
        self._head: MessageHead | None = None
        self._frame_header = bytearray()
        self._frame_left = 0
        self._channels: bytes | None = None
        self._error: RTSPParseError | None = None

    def translate_channels(self, table: bytes | None) -> None:
        """Rewrite channel numbers of the frames that follow, in place: channel c becomes table[c] (256 bytes).

        Data given as a read-only buffer is copied first; give a bytearray or a writable memoryview.
        """
        if table is not None and len(table) != _CHANNELS:
            raise ValueError(f"a channel table has {_CHANNELS} entries, not {len(table)}")
        self._channels = table

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take what the connection gave. Raises the parse error again that ended this stream, if one did."""
        if self._error is not None:
            raise self._error
        if len(data):
            self._waiting.append(memoryview(data))

    def next_event(self) -> Event | None:
        """The next message or run of media; None when more data is needed.

        Raises RTSPParseError when the stream cannot be understood; it is over then.
        """
        if self._error is not None:
            raise self._error
        try:
            return self._advance()
        except RTSPParseError as error:
            self._error = error
            self._drop_input()
            raise

    def _advance(self) -> Event | None:
        while self._at < len(self._view) or self._next_view():
            event: Event | None = None
            match self._phase:
                case _Phase.BETWEEN:
                    self._choose_phase()
                case _Phase.MEDIA:
                    event = self._read_media()
                case _Phase.HEAD:
                    event = self._read_head()
                case _Phase.BODY:
                    event = self._read_body()
            if event is not None:
                return event
        return None

    def _next_view(self) -> bool:
        self._at = 0
        self._view = self._waiting.popleft() if self._waiting else memoryview(b"")
        return len(self._view) > 0

    def _drop_input(self) -> None:
        self._waiting.clear()
        self._view = memoryview(b"")
        self._text.clear()

    def _choose_phase(self) -> None:
        if self._view[self._at] == _DOLLAR:
            self._blank, self._phase = 0, _Phase.MEDIA
        elif blank := _LINE_ENDS.match(self._view, self._at):
            self._skip_blank(blank.end())
        else:
            self._blank, self._phase = 0, _Phase.HEAD

    def _skip_blank(self, end: int) -> None:
        self._blank += end - self._at
        self._at = end
        if self._blank > self._limits.blank_bytes:
            reason = f"more than {self._limits.blank_bytes} bytes of line ends between messages"
            raise RTSPParseError(StatusCode.BAD_REQUEST, reason)

    def _read_media(self) -> InterleavedChunk:
        if self._channels is not None and self._view.readonly:
            self._view = memoryview(bytearray(self._view))
        start = self._at
        self._finish_frame()
        first = self._at
        frames, last = self._follow_frames() if self._between_frames() else (0, first)
        whole = self._between_frames()
        if whole:
            self._phase = _Phase.BETWEEN
        return InterleavedChunk(
            data=self._view[start : self._at],
            whole=whole,
            continuation=first - start,
            frames=frames,
            last_frame=last - start,
        )

    def _between_frames(self) -> bool:
        return not self._frame_left and not self._frame_header

    def _finish_frame(self) -> None:
        """Take the rest of a frame that an earlier buffer began, its header first."""
        view, header, channels = self._view, self._frame_header, self._channels
        while header and self._at < len(view):
            if len(header) == 1 and channels is not None:
                view[self._at] = channels[view[self._at]]
            header.append(view[self._at])
            self._at += 1
            if len(header) == _FRAME_HEADER_SIZE:
                self._frame_left = header[2] << 8 | header[3]
                header.clear()
        taken = min(self._frame_left, len(view) - self._at)
        self._frame_left -= taken
        self._at += taken

    def _follow_frames(self) -> tuple[int, int]:
        """Follow the frames that begin here; returns how many, and where the last one begins."""
        view, at, channels = self._view, self._at, self._channels
        end = len(view)
        last_header = end - _FRAME_HEADER_SIZE
        frames, last = 0, at
        while at <= last_header and view[at] == _DOLLAR:
            if channels is not None:
                view[at + 1] = channels[view[at + 1]]
            last = at
            frames += 1
            at += 4 + (view[at + 2] << 8 | view[at + 3])
        if at > end:
            self._frame_left = at - end
            at = end
        elif last_header < at < end and view[at] == _DOLLAR:
            last = at
            frames += 1
            at = self._begin_header(at)
        self._at = at
        return frames, last if frames else at

    def _begin_header(self, at: int) -> int:
        """Keep a frame header that the buffer cuts short; returns the buffer's end."""
        if self._channels is not None and at + 1 < len(self._view):
            self._view[at + 1] = self._channels[self._view[at + 1]]
        self._frame_header += self._view[at:]
        return len(self._view)

    def _read_head(self) -> Event | None:
        before = len(self._text)
        self._text += self._view[self._at : self._at + self._limits.head_bytes]
        end = find_head_end(self._text, before)
        if end is None:
            self._limits.check_unfinished_head(self._text)
            self._at += len(self._text) - before
            return None
        self._at += end - before
        head = parse_head(bytes(self._text[:end]), self._limits, self._versions)
        self._text.clear()
        return self._begin_body(head)

    def _begin_body(self, head: MessageHead) -> Event | None:
        if head.body_size > self._limits.body_bytes:
            raise RTSPParseError(
                StatusCode.REQUEST_ENTITY_TOO_LARGE,
                f"a body of {head.body_size} bytes; {self._limits.body_bytes} are accepted",
                cseq=head.cseq,
            )
        if not head.body_size:
            self._phase = _Phase.BETWEEN
            return head.with_body(b"")
        self._head, self._phase = head, _Phase.BODY
        return None

    def _read_body(self) -> Event | None:
        assert self._head is not None
        missing = self._head.body_size - len(self._text)
        part = self._view[self._at : self._at + missing]
        self._text += part
        self._at += len(part)
        if len(part) < missing:
            return None
        message = self._head.with_body(bytes(self._text))
        self._text.clear()
        self._head, self._phase = None, _Phase.BETWEEN
        return message
