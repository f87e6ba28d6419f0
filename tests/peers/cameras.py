"""RTSP servers that stand in for cameras."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from tests.peers.clip import Clip
from tests.peers.process import START_SECONDS, Process

# The interpreter that has GStreamer's Python binding: a Debian package, which .venv cannot see.
SYSTEM_PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).with_name("gst_camera_server.py")
MSM = Path(sys.executable).with_name("msm")


class GstCamera(Process):
    """gst-rtsp-server with a clip that ffmpeg encoded: each session plays it from its first frame, over and over.

    `events` counts what clients did: connected, describe, setup, play, pause, teardown, closed. `prefix` is a command
    to start it with, such as `host.command([])`; `address` must be one that it can bind there. `options` are more of
    the server's own, such as `--user`.
    """

    def __init__(
        self,
        clip: Clip,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        protocols: str = "udp,tcp",
        prefix: tuple[str, ...] = (),
        options: tuple[str, ...] = (),
    ) -> None:
        self.clip = clip
        arguments = ("--address", address, "--port", str(port), "--protocols", protocols)
        source = ("--clip", str(clip.path), "--audio", clip.audio)
        super().__init__([*prefix, SYSTEM_PYTHON, str(SERVER), *source, *arguments, *options])
        self.port = int(self.wait_for_line(r'"event": "listening", "port": (\d+)')[1])
        host = f"[{address}]" if ":" in address else address
        self.url = f"{'rtsps' if '--certificate' in options else 'rtsp'}://{host}:{self.port}/stream"

    @property
    def events(self) -> Counter[str]:
        return Counter(json.loads(line)["event"] for line in list(self.lines) if line.startswith("{"))

    def wait_for_event(self, event: str, count: int = 1, timeout: float = START_SECONDS) -> None:
        """Wait until `event` has happened `count` times since the camera started."""
        self.wait_until(lambda: self.events[event] >= count, timeout, f"{count} x {event}")


class MsmCamera(Process):
    """The camera that the project bundles, run as a user would: `msm camera` with `options`."""

    def __init__(self, *options: str) -> None:
        super().__init__([MSM, "camera", "--port", "0", *options])
        self.url = self.wait_for_line(r"(rtsp://\S+) plays")[1]
