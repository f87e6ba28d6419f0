"""The server under test: the library's discovery service over one cache, as `msm` runs it.

`python -m tests.bench.xds.server --type URL --resources N [--loop asyncio] [--port N]`
"""

from __future__ import annotations

from typing import Any

import grpc

from tests.bench.xds.control import obey, run
from tests.bench.xds.resources import Content
from xds_server.cache import ResourceCache
from xds_server.discovery import SERVER_OPTIONS, DiscoveryService


class Unwatched:
    """An observer that has nothing to do."""

    def proxy_connected(self, *_: Any) -> None: ...

    def proxy_disconnected(self, *_: Any) -> None: ...

    def resources_acknowledged(self, *_: Any) -> None: ...

    def resources_rejected(self, *_: Any) -> None: ...


async def serve(type_url: str, resources: int, port: int) -> None:
    """Until standard input ends."""
    content, cache = Content(type_url), ResourceCache()
    cache.update(upsert=content.first(resources))
    server = grpc.aio.server(options=SERVER_OPTIONS)
    service = DiscoveryService(lambda node: cache, Unwatched())
    service.add_to(server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await obey(bound, lambda index: cache.update(upsert=[content.change(index)]))
    service.close()
    await server.stop(None)


if __name__ == "__main__":
    run(serve, "--resources")
