"""Decoded video, frame by frame, as MD5 sums of the raw I420 picture; and what to expect of them.

H.264 decodes bit-exactly, so whatever a player shows of a clip must be frames of the clip, in order and without a
gap. One wrong, missing or foreign packet shows.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Sequence
from itertools import pairwise


def assert_contiguous(
    frames: Sequence[str], reference: Sequence[str], *, minimum: int, loop: bool = True, breaks: int = 0
) -> None:
    """`frames` are `reference` from some frame on, going round when `loop`, and at least `minimum` in one piece.

    `breaks` jumps are allowed, for players that skip by themselves. `reference` must have no two equal frames.
    """
    number = {frame: index for index, frame in enumerate(reference)}
    assert len(number) == len(reference), "the reference repeats a frame: a jump could go unseen"
    foreign = [index for index, frame in enumerate(frames) if frame not in number]
    assert not foreign, (
        f"{len(foreign)} of {len(frames)} decoded frames are not in the clip, the first is number {foreign[0]}: "
        "packets were lost, changed or mixed with another stream's"
    )
    numbers = [number[frame] for frame in frames]
    jumps = [
        at
        for at, (before, after) in enumerate(pairwise(numbers), start=1)
        if after != ((before + 1) % len(reference) if loop else before + 1)
    ]
    told = ", ".join(f"{numbers[at - 1]} -> {numbers[at]}" for at in jumps[:5])
    assert len(jumps) <= breaks, f"{len(jumps)} jumps in {len(frames)} frames, {breaks} allowed; clip frames {told}"
    longest = max(after - before for before, after in pairwise([0, *jumps, len(frames)]))
    assert longest >= minimum, f"{longest} frames in one piece, wanted {minimum} (jumps: {told or 'none'})"


def assert_audible(samples: bytes, *, seconds: float, rate: int, channels: int) -> None:
    """`samples`, signed 16-bit little-endian PCM, last at least `seconds` and are not silent."""
    heard = len(samples) / 2 / channels / rate
    assert heard >= seconds, f"{heard:.2f} s of audio, wanted {seconds:g} s"
    whole = samples[: len(samples) // 2 * 2]
    loudest = max(abs(sample) for (sample,) in struct.iter_unpack("<h", whole))
    assert loudest > 1000, f"audio is silent: its loudest sample is {loudest} of 32767"


class MD5Lines:
    """Collects the last word of each line: framemd5 of ffmpeg and checksumsink of GStreamer."""

    def __init__(self) -> None:
        self.frames: list[str] = []
        self._pending = b""

    def feed(self, data: bytes) -> None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            if line.strip() and not line.startswith(b"#"):
                self.frames.append(line.split()[-1].decode())


class Y4MStream:
    """Sums up the pictures of a YUV4MPEG2 stream, as VLC writes it.

    A display shows a picture again when the next one is late; such repetitions are one frame.
    """

    def __init__(self) -> None:
        self.frames: list[str] = []
        self._pending = bytearray()
        self._picture_bytes = 0

    def feed(self, data: bytes) -> None:
        self._pending += data
        if not self._picture_bytes and b"\n" in self._pending:
            header, _, self._pending = self._pending.partition(b"\n")
            size = {word[:1]: int(word[1:]) for word in header.decode().split() if re.fullmatch(r"[WH]\d+", word)}
            self._picture_bytes = size["W"] * size["H"] * 3 // 2
        whole = len(b"FRAME\n") + self._picture_bytes
        while self._picture_bytes and len(self._pending) >= whole:
            assert self._pending.startswith(b"FRAME\n"), "not a YUV4MPEG2 stream"
            frame = hashlib.md5(self._pending[len(b"FRAME\n") : whole], usedforsecurity=False).hexdigest()
            del self._pending[:whole]
            if self.frames[-1:] != [frame]:
                self.frames.append(frame)
