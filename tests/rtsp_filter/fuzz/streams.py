"""What a connection may carry, byte by byte: the parser, and the outbox that passes on what the parser read.

A target takes bytes and raises AssertionError for a broken promise; any other error is a broken promise too.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from zlib import crc32

from rtsp_filter.proxy.clients.outbox import Outbox
from rtsp_filter.rtsp import (
    FrameAssembler,
    InterleavedChunk,
    Limits,
    Parser,
    Request,
    Response,
    RTSPParseError,
    StatusCode,
    encode_frame,
)

# So small that short inputs meet them.
SMALL = Limits(start_line_bytes=64, head_bytes=256, headers=6, blank_bytes=16, body_bytes=48)
# More than a message of SMALL can become when it is written anew, with CRLF for LF.
ROOMY = Limits(start_line_bytes=1 << 20, head_bytes=1 << 20, headers=1 << 10)
# What may wait in a parser without having become an event.
MOST_HELD = SMALL.blank_bytes + SMALL.head_bytes + SMALL.body_bytes
REFUSALS = {
    StatusCode.BAD_REQUEST,
    StatusCode.REQUEST_ENTITY_TOO_LARGE,
    StatusCode.REQUEST_URI_TOO_LARGE,
    StatusCode.RTSP_VERSION_NOT_SUPPORTED,
}
PIECES = 6
REVERSED = bytes(reversed(range(256)))

_MESSAGE = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"

Message = Request | Response


@dataclass(slots=True, kw_only=True)
class Reading:
    """What a parser made of a stream: messages and whole frames in order, and how it ended."""

    events: list[Message | tuple[int, bytes]] = field(default_factory=list)
    media: bytes = b""
    refusal: tuple[StatusCode, int | None] | None = None


def read(pieces: Iterable[bytes], limits: Limits = SMALL, channels: bytes | None = None) -> Reading:
    """Give the pieces to a parser, one after the other, until it refuses."""
    parser, frames, reading = Parser(limits), FrameAssembler(), Reading()
    parser.translate_channels(channels)
    silent = 0
    try:
        for piece in pieces:
            parser.receive_data(piece)
            silent += len(piece)
            while (event := parser.next_event()) is not None:
                silent = 0
                if isinstance(event, InterleavedChunk):
                    reading.media += event.data
                    reading.events += frames.receive_chunk(event)
                else:
                    reading.events.append(event)
            assert silent <= MOST_HELD or limits is not SMALL, f"{silent} bytes are held"
    except RTSPParseError as error:
        assert error.status in REFUSALS
        reading.refusal = (error.status, error.cseq)
    return reading


def cut(data: bytes) -> list[bytes]:
    """The data in a few pieces, cut where its checksum says, so that equal data is cut alike."""
    chance = random.Random(crc32(data))
    edges = [0, *sorted(chance.randint(0, len(data)) for _ in range(PIECES - 1)), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def parser(data: bytes) -> None:
    """Any cut gives the same; only our error comes out; little is held; channels alone are translated; what was read
    is read again from what is written."""
    whole = read([data])
    for pieces in (cut(data), [data[at : at + 1] for at in range(len(data))]):
        assert read(pieces) == whole
    mirrored = read(cut(data), channels=REVERSED)
    assert mirrored.refusal == whole.refusal
    assert [turned(event) for event in mirrored.events] == whole.events
    for event in whole.events:
        if not isinstance(event, tuple):
            assert_written_as_read(event)


def outbox(data: bytes) -> None:
    """Frames go on whole or not at all, in order; messages go between them, and all of them. The input's bytes are the
    frames' lengths, and what happens with each piece of them: whether there is room, and whether a message comes."""
    stream = b"".join(encode_frame(number % 256, bytes(3 * size)) for number, size in enumerate(data))
    parser, box, written, messages = Parser(), Outbox(), bytearray(), 0
    for piece in cut(stream):
        fate = crc32(piece)
        if fate & 1:
            written += b"".join(box.message(_MESSAGE))
            messages += 1
        parser.receive_data(piece)
        while (event := parser.next_event()) is not None:
            assert isinstance(event, InterleavedChunk)
            written += b"".join(box.media(event, room=bool(fate & 2)))
    passed = read([bytes(written)], ROOMY)
    frames = [event for event in passed.events if isinstance(event, tuple)]
    assert not box.mid_frame
    assert passed.refusal is None
    assert len(passed.events) - len(frames) == messages
    assert len(frames) + box.dropped == len(data)
    sent = iter(read([stream], ROOMY).events)
    assert all(frame in sent for frame in frames)


def turned(event: Message | tuple[int, bytes]) -> Message | tuple[int, bytes]:
    return (255 - event[0], event[1]) if isinstance(event, tuple) else event


def assert_written_as_read(message: Message) -> None:
    """But for the spelling of Content-Length, which is put right."""
    (again,) = read([message.encode()], ROOMY).events
    assert not isinstance(again, tuple)
    assert again.encode() == message.encode()
    for headers in (message.headers, again.headers):
        headers.remove("Content-Length")
    assert again == message
