"""What `msm camera` does on its event loop."""

from __future__ import annotations

import asyncio
import errno

import typer

from api.addresses import HostPort
from rtsp_filter.camera import Camera, CameraSettings

# What to do about an address that cannot be had; what else goes wrong says it itself.
_REMEDIES = {
    errno.EADDRINUSE: "another program has this port; name a free one with --port, or any with --port 0",
    errno.EADDRNOTAVAIL: "this is no address of this machine; name one with --host",
    errno.EACCES: "ports below 1024 are for root; name a higher one with --port",
}


async def film(settings: CameraSettings) -> int:
    """Run a camera until cancelled; gives the exit code."""
    try:
        async with Camera(settings) as camera:
            who = "" if settings.user is None else f" for {settings.user.username}"
            typer.echo(f"{camera.url} plays{who}; Ctrl-C ends it")
            await asyncio.get_running_loop().create_future()
    except OSError as error:
        reason = _REMEDIES.get(error.errno or 0, error.strerror)
        typer.echo(f"cannot listen on {HostPort(host=settings.host, port=settings.port)}: {reason}", err=True)
    return 1
