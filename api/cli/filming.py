"""What `msm camera` does on its event loop."""

from __future__ import annotations

import asyncio

import typer

from rtsp_filter.camera import Camera, CameraSettings


async def film(settings: CameraSettings) -> int:
    """Run a camera until cancelled; gives the exit code."""
    try:
        async with Camera(settings) as camera:
            typer.echo(f"{camera.url} plays; Ctrl-C ends it")
            await asyncio.get_running_loop().create_future()
    except OSError as error:
        typer.echo(f"cannot listen on {settings.host}, port {settings.port}: {error.strerror}", err=True)
    return 1
