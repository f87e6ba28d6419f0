"""Players that other people wrote: ffmpeg, GStreamer and VLC, playing a URL until enough frames were decoded.

What each is peculiar about is written where it is dealt with.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from signal import SIGINT
from typing import Protocol
from urllib.parse import urlsplit

from tests.peers.cameras import SYSTEM_PYTHON
from tests.peers.frames import MD5Lines, Y4MStream
from tests.peers.ports import FFMPEG_PORTS
from tests.peers.process import START_SECONDS, Process, ProcessError

# Where scripts/vlc.sh puts a VLC that speaks RTSP; Debian 12's own was built without it.
PRIVATE_VLC = Path(__file__).parents[2] / ".cache" / "vlc"
# What the players write, in a folder of their own. ffmpeg and GStreamer tell the pictures' sums on standard output.
PICTURES = "video.y4m"
SOUND = "audio.raw"
NOBODY = 65534
# VLC refuses to run as root. Anybody else will do; files stay reachable through the one capability.
NOT_ROOT = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--"),
)


class Transport(StrEnum):
    """How media travels to the player."""

    UDP = "udp"
    TCP = "tcp"


class Shared(StrEnum):
    """How media travels to many players at once."""

    MULTICAST = "multicast"


class Tunnel(StrEnum):
    """How RTSP and media, in TCP mode, travel together inside of something else."""

    HTTP = "http"
    HTTPS = "https"


Way = Transport | Tunnel | Shared
# The players' own names for multicast.
FFMPEG_WAYS: dict[Way, str] = {Shared.MULTICAST: "udp_multicast"}
GSTREAMER_WAYS: dict[Way, str] = {Shared.MULTICAST: "udp-mcast"}

GST_PLAYER = Path(__file__).with_name("gst_player.py")
# GStreamer tells by the URL that it shall tunnel.
GSTREAMER_TUNNELS = {Tunnel.HTTP: "rtsph://", Tunnel.HTTPS: "rtspsh://"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came out of a player: MD5 of each I420 picture, and signed 16-bit little-endian samples."""

    frames: tuple[str, ...]
    audio: bytes
    log: str


class FrameReader(Protocol):
    """Turns what a player writes into frames."""

    frames: list[str]

    def feed(self, data: bytes) -> None: ...


class Player(StrEnum):
    """The players that there are."""

    FFMPEG = "ffmpeg"
    GSTREAMER = "gstreamer"
    VLC = "vlc"

    @property
    def breaks(self) -> int:
        """Jumps that the player makes by itself.

        VLC moves its clock when the first RTCP sender report of a track arrives, and goes on at the next key frame.
        """
        return 2 if self is Player.VLC else 0


def play(
    player: Player,
    url: str,
    transport: Way,
    *,
    frames: int,
    prefix: Sequence[str] = (),
    timeout: float = START_SECONDS,
    halfway: Callable[[], None] = lambda: None,
    while_playing: Callable[[], None] = lambda: None,
) -> Played:
    """Play `url` until `frames` different pictures were decoded, then end the player as Ctrl-C would.

    A tunnel's `url` begins with rtsp:// too; any certificate will do. `prefix` is a command to run it with, such as
    `host.command([])`; `halfway` is called when half of the frames are there, `while_playing` when all are.
    Raises ProcessError, with the player's log, when the pictures do not come within `timeout` seconds or the player
    leaves a process behind.
    """
    reader: FrameReader = Y4MStream() if player is Player.VLC else MD5Lines()
    with _folder_for_anybody() as folder:
        pictures = Tail(folder / PICTURES)

        def decoded(wanted: int) -> bool:
            reader.feed(pictures.read())
            return len(reader.frames) >= wanted

        with Process([*prefix, *COMMANDS[player](url, transport, folder)], stdout=reader.feed) as process:
            try:
                process.wait_until(lambda: decoded(frames // 2), timeout, f"{frames // 2} frames")
                halfway()
                process.wait_until(lambda: decoded(frames), timeout, f"{frames} frames")
            except ProcessError as error:
                raise ProcessError(f"{error}\n{len(reader.frames)} frames had come") from error
            while_playing()
            process.stop(SIGINT)
        return Played(frames=tuple(reader.frames), audio=(folder / SOUND).read_bytes(), log=process.output)


class Tail:
    """What was added to a file since the last look; nothing while there is no file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def read(self) -> bytes:
        if not self._path.exists():
            return b""
        with self._path.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        self._position += len(data)
        return data


def _ffmpeg(url: str, transport: Way, folder: Path) -> list[str]:
    """Frames pass as they come: by default ffmpeg repeats and drops some to make the frame rate constant."""
    return [
        *("ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "warning"),
        *("-rtsp_transport", FFMPEG_WAYS.get(transport, transport), *FFMPEG_PORTS, "-i", url),
        *("-map", "0:v", "-fps_mode", "passthrough", "-flush_packets", "1", "-f", "framemd5", "-"),
        *("-map", "0:a", "-f", "s16le", str(folder / SOUND)),
    ]


def _gstreamer(url: str, transport: Way, folder: Path) -> list[str]:
    if isinstance(transport, Tunnel):
        how = [url.replace("rtsp://", GSTREAMER_TUNNELS[transport])]
    else:
        how = [url, "--protocols", GSTREAMER_WAYS.get(transport, transport)]
    return [SYSTEM_PYTHON, str(GST_PLAYER), *how, "--sound", str(folder / SOUND)]


def _vlc(url: str, transport: Way, folder: Path) -> list[str]:
    """Plays in earnest, by the clock, with files in place of a screen and a loudspeaker.

    Nothing is drawn over the pictures (VLC shows the title), and late ones are shown, not dropped.
    """
    return [
        *(NOT_ROOT if os.getuid() == 0 else ()),
        *("env", f"HOME={folder}", *_vlc_program()),
        *("--intf", "dummy", "--no-osd", "--no-spu", "--no-video-title-show"),
        *("--no-drop-late-frames", "--no-skip-frames", *(["--rtsp-tcp"] if transport is Transport.TCP else [])),
        *(["--rtsp-mcast"] if transport is Shared.MULTICAST else []),
        *(["--rtsp-http", f"--rtsp-http-port={urlsplit(url).port}"] if transport is Tunnel.HTTP else []),
        *("--vout", "yuv", "--yuv-file", str(folder / PICTURES), "--yuv-chroma", "I420"),
        *("--aout", "afile", "--audiofile-file", str(folder / SOUND), "--no-audiofile-wav", url),
    ]


def _vlc_program() -> list[str]:
    if not PRIVATE_VLC.exists():
        return [shutil.which("vlc") or "vlc"]
    usr = PRIVATE_VLC / "usr"
    (libraries,) = usr.glob("lib/*-linux-gnu")
    (loader,) = libraries.glob("ld-linux-*.so.*")
    path = f"{libraries}:{libraries}/vlc"
    settings = (f"VLC_PLUGIN_PATH={libraries}/vlc/plugins", f"VLC_DATA_PATH={usr}/share/vlc")
    return [*settings, str(loader), "--library-path", path, str(usr / "bin" / "vlc")]


COMMANDS = {Player.FFMPEG: _ffmpeg, Player.GSTREAMER: _gstreamer, Player.VLC: _vlc}


@contextmanager
def _folder_for_anybody() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="msm-player-") as folder:
        if os.getuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield Path(folder)
