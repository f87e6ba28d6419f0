"""A clip that ffmpeg makes, whose every decoded frame is known."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.peers.frames import MD5Lines

FRAMES_PER_SECOND = 25
SECONDS = 4
# A key frame every second, and none in between: a player that joins late, or loses a packet, is seen to wait for one.
KEY_FRAME_INTERVAL = FRAMES_PER_SECOND

BUNDLED_CLIP = Path(__file__).parents[2] / "rtsp_filter" / "camera" / "clip"


class AudioCodec(StrEnum):
    """The audio of a clip, by its RTP name."""

    AAC = "aac"
    PCMU = "pcmu"


ENCODERS = {
    AudioCodec.AAC: (48_000, 2, ("-c:a", "aac", "-b:a", "64k")),
    AudioCodec.PCMU: (8_000, 1, ("-c:a", "pcm_mulaw")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A file of H.264 and audio. `frames` are MD5 sums of its decoded I420 pictures, no two alike."""

    path: Path
    audio: AudioCodec
    audio_rate: int
    audio_channels: int
    frames: tuple[str, ...]


def make_clip(folder: Path, audio: AudioCodec) -> Clip:
    """Encodes a moving test picture and a tone: four seconds, 320x240, no B-frames."""
    rate, channels, encoder = ENCODERS[audio]
    path = folder / f"{audio}.mkv"
    picture = f"testsrc2=size=320x240:rate={FRAMES_PER_SECOND}:duration={SECONDS}"
    tone = f"sine=frequency=440:sample_rate={rate}:duration={SECONDS},volume=4"
    _ffmpeg(
        *("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone),
        *("-c:v", "libx264", "-profile:v", "main", "-pix_fmt", "yuv420p", "-bf", "0", "-sc_threshold", "0"),
        *("-g", str(KEY_FRAME_INTERVAL), *encoder, "-ac", str(channels), str(path)),
    )
    return Clip(path=path, audio=audio, audio_rate=rate, audio_channels=channels, frames=decoded_frames(path))


def bundled_clip() -> Clip:
    """What `msm camera` plays."""
    path = BUNDLED_CLIP / "clip.h264"
    return Clip(path=path, audio=AudioCodec.AAC, audio_rate=48_000, audio_channels=1, frames=decoded_frames(path))


def decoded_frames(path: Path) -> tuple[str, ...]:
    """MD5 of each picture of a file, in order."""
    reader = MD5Lines()
    reader.feed(_ffmpeg("-i", str(path), "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"))
    return tuple(reader.frames)


def _ffmpeg(*arguments: str) -> bytes:
    command = ("ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *arguments)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60).stdout
