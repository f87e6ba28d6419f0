"""The demo: a bundled camera, a whole mesh and the measuring player in one process, so that anybody can see it work.

It takes the usual ports where they are free and others where they are not, so that it runs beside another mesh.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

from rich.console import Console
from rich.live import Live

from api.addresses import HostPort, PortRange
from api.run import Parts, parts
from api.settings import MeshSettings
from mesh.documents import compile_documents, route_options
from rtsp_filter.camera import Camera, CameraSettings
from rtsp_filter.player import PlayError, PlayReport, PlayTransport, play, render
from xds_server.envoy import check_media_ports

PATH = "/demo"
# Envoy starts in about a second; a machine that needs longer than this has another problem.
READY_TIMEOUT = 30.0
# Slots of the demo: one player here and room for a few more, from VLC or ffplay.
_MEDIA_PORTS = 256
_LOOPBACK = "127.0.0.1"


async def demo(settings: MeshSettings, *, seconds: float | None, transport: PlayTransport) -> int:
    """Play through the mesh and show what arrives; gives the exit code, 1 when media did not flow."""
    console = Console(stderr=True)
    async with parts(_with_free_ports(settings)) as mesh, Camera(CameraSettings(host=_LOOPBACK, port=0)) as camera:
        with console.status("starting a camera, a control plane, Envoy, an RTSP proxy and the REST API"):
            url, api = await _start(mesh, camera)
        console.print(f"[bold]Media Streaming Mesh[/]: a camera plays through the mesh{_until(seconds)}")
        console.print(f"  open in VLC or ffplay  {url}")
        console.print(f"  REST API               {api}/docs")
        report = await _play(console, url, transport, seconds)
    print(json.dumps({"api": api, **report.model_dump(mode="json")}), flush=True)
    return 0 if _flowed(report) else 1


async def _start(mesh: Parts, camera: Camera) -> tuple[str, str]:
    """Start every part; gives the URL to play and the address of the REST API."""
    settings = mesh.settings
    plane = mesh.read(fresh=True)
    await mesh.control_plane(plane)
    xds = HostPort(host=_LOOPBACK, port=plane.port)
    mesh.envoy(xds)
    proxy = await mesh.rtsp_proxy(xds)
    api_port = await mesh.api(plane)
    route = route_options([f"{PATH}=rtsp://{_LOOPBACK}:{camera.port}/clip"])
    plane.set_slice(compile_documents(route, source="demo"))
    async with asyncio.timeout(READY_TIMEOUT):
        await plane.ready.wait()
    return f"rtsp://{settings.rtsp.host}:{proxy.port}{PATH}", f"http://{settings.api.host}:{api_port}"


async def _play(console: Console, url: str, transport: PlayTransport, seconds: float | None) -> PlayReport:
    """Play with a live table, until the time is up or Ctrl-C; what was measured until then counts."""
    latest: list[PlayReport] = []
    with Live(console=console, auto_refresh=False, transient=seconds is not None and not console.is_terminal) as live:

        def show(report: PlayReport) -> None:
            latest[:] = [report]
            live.update(render(report), refresh=True)

        try:
            return await play(url, transport=transport, seconds=seconds, on_progress=show)
        except PlayError as error:
            return error.report
        except asyncio.CancelledError:
            if not latest:
                raise
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
            return latest[0]


def _until(seconds: float | None) -> str:
    return "; Ctrl-C ends it" if seconds is None else f" for {seconds:g} s"


def _flowed(report: PlayReport) -> bool:
    return report.error is None and bool(report.tracks) and all(track.packets > 0 for track in report.tracks)


def _with_free_ports(settings: MeshSettings) -> MeshSettings:
    """The settings, with any port in place of one that is taken."""
    addresses = {
        name: HostPort(host=_LOOPBACK, port=_free_or_any(getattr(settings, name).port))
        for name in ("rtsp", "api", "xds")
    }
    return settings.model_copy(update={**addresses, "media_ports": _free_media_ports(settings.media_ports)})


def _free_or_any(port: int) -> int:
    with contextlib.suppress(OSError), socket.create_server((_LOOPBACK, port)):
        return port
    return 0


def _free_media_ports(wanted: PortRange) -> PortRange:
    """The first stretch of the range in which every port is free; the range itself when there is none."""
    for first in range(wanted.first, wanted.last + 2 - _MEDIA_PORTS, _MEDIA_PORTS):
        with contextlib.suppress(OSError):
            check_media_ports(range(first, first + _MEDIA_PORTS), [_LOOPBACK])
            return PortRange(first, first + _MEDIA_PORTS - 1)
    return wanted
