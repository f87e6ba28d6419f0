"""What a mesh says while it starts, so that nobody wonders whether it hangs."""

from __future__ import annotations

import asyncio

import structlog

from xds_server.control_plane import ControlPlane

# Longer than a healthy start takes; then ever more seldom, for it may wait for hours.
FIRST_WORD_SECONDS = 1.0
LAST_WORD_SECONDS = 30.0

log = structlog.get_logger()


async def tell_until_ready(plane: ControlPlane, *, first: float = FIRST_WORD_SECONDS) -> None:
    """Wait until a session would work; say after `first` seconds, and then at twice the distance each time, what it
    waits for and how many of the first slots Envoy listens at."""
    wait = first
    while True:
        try:
            async with asyncio.timeout(wait):
                await plane.ready.wait()
                return
        except TimeoutError:
            pool = plane.media.registry.pool
            log.info(
                "the mesh is starting", waits_for=plane.not_ready(), slots_ready=f"{pool.listening} of {pool.size}"
            )
            wait = min(2 * wait, LAST_WORD_SECONDS)
