"""The RTSP proxy itself, on the test's event loop, with limits that a test can meet, behind `msm serve`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from rtsp_filter.proxy import Listen, ProxyLimits, ProxySettings, RTSPProxy
from rtsp_filter.rtsp import StatusCode
from tests.peers.mesh import Mesh
from tests.peers.rtsp_wire import RTSPWire


@asynccontextmanager
async def running_proxy(mesh: Mesh, limits: ProxyLimits | None = None) -> AsyncIterator[RTSPProxy]:
    """A proxy that has its routes from the mesh's control plane; it listens where the mesh's own proxy would."""
    host, _, port = mesh.rtsp.rpartition(":")
    settings = ProxySettings(
        listen=Listen(address=host, port=int(port)),
        control_plane=mesh.xds,
        node_id="proxy",
        limits=limits or ProxyLimits(),
    )
    proxy = RTSPProxy(settings)
    running = asyncio.create_task(proxy.run())
    try:
        await proxy.listening.wait()
        wire = await RTSPWire.open(host, int(port))
        await _routes_known(wire, mesh)
        await wire.close()
        yield proxy
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def _routes_known(wire: RTSPWire, mesh: Mesh) -> None:
    """Wait until the proxy has its routes, by asking again and again for one that there is not: until then, 503."""
    while (await wire.ask("DESCRIBE", mesh.url("/no/such/route"))).status == StatusCode.SERVICE_UNAVAILABLE:
        pass
