"""The server under test: the library's discovery service over one cache, as `msm` runs it.

`python -m tests.bench.xds.server --type URL --resources N [--loop asyncio] [--port N]`
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import os
from typing import Any

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # as `msm` does; gRPC reads this when it is imported

import grpc
import uvloop

from api.loop import allow_all_files
from tests.bench.xds.control import obey, say
from tests.bench.xds.resources import Content
from xds_server.cache import ResourceCache
from xds_server.discovery import SERVER_OPTIONS, DiscoveryService

PROFILE_FILE = "MSM_BENCH_PROFILE"
"""Names a file in the environment: at its end the server writes a profile (pstats) there."""
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


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
    gc.collect()
    gc.freeze()  # as `msm` does once everything has started
    say({"port": bound})
    await obey(lambda index: cache.update(upsert=[content.change(index)]))
    service.close()
    await server.stop(None)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--type", required=True)
    parser.add_argument("--resources", type=int, required=True)
    parser.add_argument("--loop", choices=LOOPS, default="uvloop")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    allow_all_files()
    profiler = cProfile.Profile() if PROFILE_FILE in os.environ else None
    if profiler is not None:
        profiler.enable()
    with asyncio.Runner(loop_factory=LOOPS[options.loop]) as runner:
        runner.run(serve(options.type, options.resources, options.port))
    if profiler is not None:
        profiler.dump_stats(os.environ[PROFILE_FILE])


if __name__ == "__main__":
    main()
