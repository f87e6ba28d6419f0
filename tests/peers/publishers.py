"""Programs that publish a clip by RTSP (ANNOUNCE, RECORD), and a server that takes one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from tests.peers.clip import Clip
from tests.peers.frames import MD5Lines
from tests.peers.players import Transport
from tests.peers.ports import FFMPEG_PORTS
from tests.peers.process import START_SECONDS, Process

# A state in /proc/net/tcp.
_LISTEN = "0A"


class Publisher(StrEnum):
    """The publishers that there are."""

    FFMPEG = "ffmpeg"
    GSTREAMER = "gstreamer"


def publishing(publisher: Publisher, clip: Clip, url: str, transport: Transport) -> Process:
    """Publish the clip at its own speed, over and over, until the process ends."""
    return Process(_COMMANDS[publisher](clip, url, transport))


def _ffmpeg(clip: Clip, url: str, transport: Transport) -> list[str]:
    return [
        *("ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "warning", "-re", "-stream_loop", "-1"),
        *("-i", str(clip.path), "-map", "0:v", "-c", "copy"),
        *("-f", "rtsp", "-rtsp_transport", transport, *FFMPEG_PORTS, url),
    ]


def _gstreamer(clip: Clip, url: str, transport: Transport) -> list[str]:
    pipeline = (
        f"filesrc location={clip.path} ! matroskademux ! h264parse config-interval=-1 ! "
        f"rtspclientsink location={url} protocols={transport} profiles=avp"
    )
    return ["gst-launch-1.0", "--quiet", *pipeline.split()]


_COMMANDS = {Publisher.FFMPEG: _ffmpeg, Publisher.GSTREAMER: _gstreamer}


@contextmanager
def listening(port: int) -> Iterator[tuple[Process, MD5Lines]]:
    """An RTSP server (ffmpeg's) that takes one publisher and decodes its pictures."""
    reader = MD5Lines()
    command = [
        *("ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "warning", "-rtsp_flags", "listen", *FFMPEG_PORTS),
        *("-timeout", str(int(START_SECONDS)), "-i", f"rtsp://127.0.0.1:{port}/live"),
        *("-map", "0:v", "-fps_mode", "passthrough", "-flush_packets", "1", "-f", "framemd5", "-"),
    ]
    with Process(command, stdout=reader.feed) as server:
        server.wait_until(lambda: _listens(port), START_SECONDS, f"a listener at port {port}")
        yield server, reader


def _listens(port: int) -> bool:
    """Whether a TCP socket listens there; to try it would use up the only connection that ffmpeg takes."""
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(int(fields[1].split(":")[1], 16) == port and fields[3] == _LISTEN for fields in sockets)
