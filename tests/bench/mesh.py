"""A mesh as a user runs it, `msm up`, in a process of its own, with the process ids of its parts."""

from __future__ import annotations

import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from rtsp_filter.rtsp import RTSPURL
from tests.bench.proc import command_name
from tests.peers.ports import reserve_ports
from tests.peers.process import START_SECONDS, Process, wait_until

MSM = Path(sys.executable).with_name("msm")
_PROBE_SECONDS = 1.0
# UDP ports for media: below those that the system picks for clients, and enough for 5,500 slots.
_MEDIA_PORTS = range(10_000, 32_000)
_PORTS_PER_SLOT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """A running mesh. `pid` is the process of the control plane and the RTSP proxy, `envoy` that of the media proxy;
    `url` leads to the camera that the mesh was started with."""

    url: str
    pid: int
    envoy: int


@contextmanager
def running_mesh(camera_url: str, *, slots: int, command: Sequence[str | Path] = (MSM,)) -> Iterator[Mesh]:
    """`msm up` in front of one camera, with room for `slots` tracks; ready for sessions."""
    with ExitStack() as stack:
        media = media_ports(slots)
        ports = stack.enter_context(reserve_ports())
        rtsp, api, xds = (f"127.0.0.1:{ports.take()}" for _ in range(3))
        process = stack.enter_context(
            Process(
                [
                    *(*command, "up", "--route", f"/bench={camera_url}"),
                    *("--media-ports", f"{media.start}-{media.stop - 1}"),
                    *("--rtsp", rtsp, "--api", api, "--xds", xds),
                ]
            )
        )
        wait_until(lambda: _ready(process, f"http://{api}/readyz"), START_SECONDS, "a mesh that is ready")
        envoy = next(pid for pid in process.family() if command_name(pid) == "envoy")
        yield Mesh(url=f"rtsp://{rtsp}/bench", pid=process.pid, envoy=envoy)


def media_ports(slots: int) -> range:
    """Free UDP ports for so many slots. Raises OSError when there is no such stretch."""
    wanted = slots * _PORTS_PER_SLOT
    free = 0
    for port in _MEDIA_PORTS:
        free = free + 1 if free or port % 2 == 0 else 0
        if not _is_free(port):
            free = 0
        if free == wanted:
            return range(port + 1 - wanted, port + 1)
    raise OSError(f"no {wanted} neighbouring free UDP ports from {_MEDIA_PORTS.start} to {_MEDIA_PORTS.stop}")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextmanager
def bundled_camera() -> Iterator[str]:
    """`msm camera`; gives its URL."""
    with reserve_ports() as ports:
        port = ports.take()
        with Process([MSM, "camera", "--port", str(port)]) as camera:
            camera.wait_for_line("rtsp://")
            yield f"rtsp://127.0.0.1:{port}/stream"


@contextmanager
def byte_relay(url: str) -> Iterator[tuple[str, int]]:
    """A relay that understands nothing in front of the server of `url`; gives the URL through it, and its process."""
    parsed = RTSPURL.parse(url)
    argv = [sys.executable, "-m", "tests.bench.byte_relay", parsed.connect_host, str(parsed.effective_port)]
    with Process(argv) as process:
        port = int(process.wait_for_line(r"^(\d+)$")[1])
        yield str(parsed.with_host("127.0.0.1", port)), process.pid


def _ready(process: Process, url: str) -> bool:
    if not process.running:
        raise RuntimeError(f"the mesh ended: {process.output}")
    try:
        with urllib.request.urlopen(url, timeout=_PROBE_SECONDS) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (urllib.error.URLError, OSError):
        return False
